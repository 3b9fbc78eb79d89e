// Drives pomelo-jsclient-websocket, the browser client of pomelo: its scripts run as in a page, in a context of their own.

import { EventEmitter } from 'node:events';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import vm from 'node:vm';

import WebSocket from 'ws';

import { main } from '../claims.mjs';
import { Tap } from '../tap.mjs';

const require = createRequire(import.meta.url);

function script(file) {
  const path = require.resolve(file);
  return new vm.Script(readFileSync(path, 'utf8'), { filename: path });
}

const PROTOCOL = script('pomelo-protocol/lib/protocol.js');
const CLIENT = script('pomelo-jsclient-websocket/lib/pomelo-client.js');

/** One page: the client is a singleton, thus every connection needs a page of its own. */
function page(target, onSocket) {
  // A browser names the page's host as the origin, and here the gate is that host.
  const origin = `http://${target.host}:${target.port}`;
  class BrowserSocket extends WebSocket {
    constructor(url) {
      super(url, { origin });
      onSocket(this);
    }
  }
  const globals = {
    WebSocket: BrowserSocket, EventEmitter, module: { exports: {} }, console,
    setTimeout, clearTimeout, Date, JSON, Math, parseInt, Uint8Array, ArrayBuffer,
  };
  globals.window = globals;
  const context = vm.createContext(globals);
  PROTOCOL.runInContext(context);
  CLIENT.runInContext(context);
  return globals.pomelo;
}

function open(target, { reconnect = false } = {}) {
  const connection = {};
  const pomelo = page(target, (socket) => {
    connection.tap ??= new Tap(socket);
  });
  connection.request = (route, body) => new Promise((resolve) => pomelo.request(route, body, resolve));
  connection.notify = (route, body) => pomelo.notify(route, body);
  connection.on = (route, callback) => pomelo.on(route, callback);
  connection.kicked = new Promise((resolve) => pomelo.on('onKick', resolve));
  connection.disconnect = () => pomelo.disconnect();
  return new Promise((resolve, reject) => {
    pomelo.on('error', reject);
    connection.reconnected = new Promise((renewed) => {
      // The client calls back after each handshake: the first resolves `open`, the second means that it came back.
      let handshakes = 0;
      const ready = () => (++handshakes === 1 ? resolve(connection) : renewed());
      pomelo.init({ host: target.host, port: target.port, user: { name: 'page' }, reconnect }, ready);
    });
  });
}

await main({ name: 'pomelo-jsclient-websocket', sendsCodes: true, reconnects: true, open });
