// A name server: answers A and AAAA as it is told, in the format of RFC 1035.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import ipaddr from 'ipaddr.js';
import { afterAll } from 'vitest';

/** Answers its address; ends with the file. `addressesOf` may say something else each time. */
export async function aNameServer(addressesOf: (name: string) => string[]): Promise<string> {
  const socket = createSocket('udp4');
  socket.on('message', (query, client) => {
    const { name, end } = readName(query, 12);
    const type = query.readUInt16BE(end);
    const records = addressesOf(name)
      .map((address) => Buffer.from(ipaddr.parse(address).toByteArray()))
      .filter(({ length }) => length === (type === 28 ? 16 : 4))
      .map((data) =>
        Buffer.concat([Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 0, 0, data.length]), data]),
      );
    const head = Buffer.from(query.subarray(0, 12));
    head.writeUInt16BE(0x8180, 2);
    head.writeUInt16BE(records.length, 6);
    head.writeUInt32BE(0, 8);
    socket.send(Buffer.concat([head, query.subarray(12, end + 4), ...records]), client.port, client.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  afterAll(() => {
    socket.close();
  });
  return `127.0.0.1:${socket.address().port}`;
}

function readName(message: Buffer, start: number): { name: string; end: number } {
  const labels: string[] = [];
  let at = start;
  for (let length = message.readUInt8(at); length > 0; length = message.readUInt8(at)) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.').toLowerCase(), end: at + 1 };
}
