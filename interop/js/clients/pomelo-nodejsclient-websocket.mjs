// Drives pomelo-nodejsclient-websocket, a pomelo client for Node on an early WebSocket library.

import Pomelo from 'pomelo-nodejsclient-websocket';

import { main } from '../claims.mjs';
import { Tap } from '../tap.mjs';

const silent = () => {};
const logger = { debug: silent, info: silent, warn: silent, error: silent, trace: silent };

function open(target) {
  const pomelo = new Pomelo({ logger });
  const connection = {
    request: (route, body) =>
      new Promise((resolve, reject) => {
        pomelo.request(route, body, (failure, reply) => (failure ? reject(failure) : resolve(reply)));
      }),
    notify: (route, body) => pomelo.notify(route, body),
    on: (route, callback) => pomelo.on(route, callback),
    kicked: new Promise((resolve) => pomelo.on('onKick', resolve)),
    disconnect: () => pomelo.disconnect(),
  };
  return new Promise((resolve, reject) => {
    pomelo.on('error', reject);
    pomelo.on('io-error', (event) => reject(new Error(`socket error: ${event?.message ?? event}`)));
    pomelo.init({ host: target.host, port: target.port, user: { name: 'node' } }, () => resolve(connection));
    // The socket exists as soon as init returns, and nothing has been sent on it yet.
    connection.tap = new Tap(pomelo.socket);
  });
}

await main({ name: 'pomelo-nodejsclient-websocket', sendsCodes: false, reconnects: false, open });
