// Drives PinusWSClient of pinus-robot-plugin, the client with which pinus puts load on its servers.

import { createRequire } from 'node:module';

import { main } from '../claims.mjs';
import { Tap } from '../tap.mjs';

// The package's entry point starts a robot; the client alone is one of its files.
const { PinusWSClient } = createRequire(import.meta.url)('pinus-robot-plugin/dist/PinusWSClient.js');

/** The client tells nobody of a kick, but takes its handlers from its prototype, where a subclass can listen. */
class Listening extends PinusWSClient {
  onKick(body) {
    super.onKick(body);
    this.emit('kicked', body);
  }
}

function open(target) {
  const pinus = new Listening();
  const connection = {
    request: (route, body) => new Promise((resolve) => pinus.request(route, body, resolve)),
    notify: (route, body) => pinus.notify(route, body),
    on: (route, callback) => pinus.on(route, callback),
    kicked: new Promise((resolve) => pinus.on('kicked', resolve)),
    disconnect: () => pinus.disconnect(),
  };
  return new Promise((resolve) => {
    pinus.init({ host: target.host, port: target.port, user: { name: 'robot' } }, () => resolve(connection));
    // The socket exists as soon as init returns, and nothing has been sent on it yet.
    connection.tap = new Tap(pinus.socket);
  });
}

await main({ name: 'pinus-robot-plugin', sendsCodes: true, reconnects: false, open });
