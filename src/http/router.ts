// From method and path to a route. Paths without parameters are one look in a Map; the others are compared segment by segment.
import type { Method, Route } from '../route.ts';

type ByMethod = Partial<Record<Method, Route>>;

interface Template {
  /** text to equal, or null for a parameter */
  segments: (string | null)[];
  names: string[];
  routes: ByMethod;
}

export interface Match {
  routes: ByMethod;
  params: Record<string, string>;
}

const no_params: Record<string, string> = Object.freeze({});

export class Router {
  readonly #fixed = new Map<string, Match>();
  /** by number of segments */
  readonly #templates = new Map<number, Template[]>();

  constructor(routes: Route[]) {
    for (const route of routes) {
      const by_method = this.#byMethod(route.path);
      if (by_method[route.method] !== undefined)
        throw new Error(`two routes for ${route.method} ${route.path}`);
      by_method[route.method] = route;
    }
  }

  /** The routes of a path, whatever their method, and the values of its parameters; null when no route has it. */
  match(path: string): Match | null {
    const fixed = this.#fixed.get(path);
    if (fixed !== undefined) return fixed;
    const segments = path.split('/');
    for (const template of this.#templates.get(segments.length) ?? []) {
      const params = paramsOf(template, segments);
      if (params !== null) return { routes: template.routes, params };
    }
    return null;
  }

  #byMethod(path: string): ByMethod {
    if (!path.includes('{')) {
      const known = this.#fixed.get(path) ?? { routes: {}, params: no_params };
      this.#fixed.set(path, known);
      return known.routes;
    }
    const segments = path.split('/').map((segment) => (segment.startsWith('{') ? null : segment));
    const names = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name = '']) => name);
    const templates = this.#templates.get(segments.length) ?? [];
    this.#templates.set(segments.length, templates);
    const same = templates.find((template) => template.segments.join('/') === segments.join('/'));
    if (same !== undefined) return same.routes;
    const template: Template = { segments, names, routes: {} };
    templates.push(template);
    return template.routes;
  }
}

function paramsOf(template: Template, segments: string[]): Record<string, string> | null {
  const values: string[] = [];
  for (const [index, wanted] of template.segments.entries()) {
    const given = segments[index];
    if (given === undefined || (wanted === null ? given === '' : given !== wanted)) return null;
    if (wanted === null) values.push(given);
  }
  return Object.fromEntries(template.names.map((name, index) => [name, decodedSegment(values[index])]));
}

/** A segment that is not percent-encoded UTF-8 stays as it is: no id and no code contains `%`, so its schema refuses it. */
function decodedSegment(segment = ''): string {
  if (!segment.includes('%')) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    // A URIError is the only thing that can be thrown here.
    return segment;
  }
}
