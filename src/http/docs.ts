// Swagger UI at /docs, from our own files only: nothing is loaded from or reported to elsewhere.
import { Router } from 'express';
import { serve, setup } from 'swagger-ui-express';

const headers = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'",
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

export function createDocs(): Router {
  const router = Router();
  router.use((_request, response, next) => {
    response.set(headers);
    next();
  });
  router.use(
    serve,
    setup(undefined, {
      swaggerUrl: '/openapi.json',
      customSiteTitle: 'Lattice API',
      // Without it the document's address is sent to validator.swagger.io for a badge.
      swaggerOptions: { validatorUrl: null, displayRequestDuration: true, tryItOutEnabled: true },
    }),
  );
  return router;
}
