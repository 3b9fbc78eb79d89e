// dunlin.d.ts: the types of dunlin.js, the client of a dunlin gate for browsers and Node.

export const VERSION: string;

/** What a client may say to a service and hear from it. Describe yours and pass it to `connect`. */
export interface Api {
  /** Route to the bodies of the request and its answer. */
  requests: Record<string, { in: any; out: any }>;
  /** Route to the body of the message. */
  notifies: Record<string, any>;
  /** Route to the body of the push. */
  pushes: Record<string, any>;
}

export type State = "connecting" | "connected" | "dropped" | "closed";

/** The codes this client makes itself. Codes from the server are numbers (or text, from pitaya). */
export type ClientErrorCode =
  /** The signal of the request was aborted; `cause` is its reason. */
  | "aborted"
  /** The server is stopping and sent this client away; it comes back by itself if it reconnects at all. */
  | "away"
  /** `close()` was called. */
  | "closed"
  /** No handshake came within `connectTimeout`. */
  | "connect_timeout"
  /** The connection ended while the request waited; `details.reason` says why. */
  | "dropped"
  /** The body has no JSON form. */
  | "invalid"
  /** The server removed this client; `details` is the body of the kick. */
  | "kicked"
  /** A listener threw; `cause` is what it threw. */
  | "listener"
  /** An established connection ended. */
  | "lost"
  /** There is no connection at the moment. */
  | "not_connected"
  /** Too many requests in flight, or too many bytes not yet sent. */
  | "overflow"
  /** The server broke the protocol. */
  | "protocol"
  /** The server refused the handshake; `details` is its whole answer. */
  | "refused"
  /** Nothing came for two heartbeat intervals. */
  | "silent"
  /** No answer within the timeout. */
  | "timeout"
  /** The route or the body is longer than allowed. */
  | "too_long"
  /** No connection could be opened. */
  | "unreachable";

export class DunlinError extends Error {
  constructor(
    code: ClientErrorCode | number | string,
    message: string,
    options?: { details?: unknown; cause?: unknown },
  );
  readonly name: "DunlinError";
  /** A number when the server said so, a `ClientErrorCode` when this client did. */
  code: ClientErrorCode | number | (string & {});
  details?: any;
  cause?: unknown;
}

/** The part of the WebSocket interface this client uses. */
export interface SocketLike {
  binaryType: string;
  readonly bufferedAmount?: number;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  send(data: any): void;
  close(code?: number, reason?: string): void;
}

export interface ReconnectOptions {
  /** The bound of the first wait in milliseconds; it doubles with each failure. Default 500. */
  minDelay?: number;
  /** The bound no wait exceeds. Default 30 000. */
  maxDelay?: number;
  /** How many attempts may fail in a row. Default: without end. */
  attempts?: number;
  /** A connection shorter than this counts as a failure. Default 5 000. */
  minUptime?: number;
}

export interface Options {
  /** Data for the handshake: a JSON value, or a function asked anew before each connection. */
  user?: unknown | (() => unknown | Promise<unknown>);
  /** The class to open sockets with, where the runtime has none. Default `globalThis.WebSocket`. */
  WebSocket?: new (url: string) => SocketLike;
  /** Connect again after a drop, with full jitter. A kick or a refusal is final. Default: off. */
  reconnect?: boolean | ReconnectOptions;
  /** How long a request waits for its answer, in milliseconds. Default 15 000. */
  timeout?: number;
  /** How long opening the socket and the handshake may take together. Default 10 000. */
  connectTimeout?: number;
  /** How many requests may wait at once. Default 128. */
  maxInFlight?: number;
  /** How many bytes the socket may hold unsent. Default 1 MiB. */
  maxBuffered?: number;
  /** The longest message to send, route included. Default 64 KiB, as a gate's. */
  sendLimit?: number;
  /** The longest packet body to accept. Default 16 MiB - 1. */
  receiveLimit?: number;
  /** A monotonic clock in milliseconds. Default `performance.now`. */
  now?: () => number;
}

export interface RequestOptions {
  timeout?: number;
  signal?: AbortSignal;
  /** Resolve with the bytes of the answer instead of parsing them as JSON. */
  binary?: boolean;
}

export interface ListenOptions {
  /** Hand the bytes of a push to the listener instead of parsing them as JSON. */
  binary?: boolean;
}

export interface ClientEvents {
  state: { state: State; previous: State; reason: DunlinError | null; retryIn: number | null };
  /** An established connection ended; `retryIn` is `null` when no attempt follows. */
  drop: { reason: string; error: DunlinError; retryIn: number | null };
  /** Connected again after a drop. Join your rooms anew. */
  reconnect: { attempts: number; downtime: number };
  /** The server removed this client, which is then closed for good. */
  kick: { reason: string; [key: string]: unknown };
  /** An attempt to connect failed, a push could not be read, or a listener threw. */
  error: DunlinError;
}

export interface Handshake {
  code: 200;
  sys?: { heartbeat?: number; dict?: Record<string, number>; [key: string]: unknown };
  user?: any;
}

type Key<T> = Extract<keyof T, string>;

export class Client<A extends Api = Api> {
  constructor(url: string | URL, options?: Options);
  readonly state: State;
  /** The error behind the state "dropped" or "closed", `null` in the other states. */
  readonly reason: DunlinError | null;
  /** The last measured round trip of a heartbeat in milliseconds, `null` before the first. */
  readonly rtt: number | null;
  /** The server's answer to the last handshake. */
  readonly handshake: Handshake | null;

  /** Resolves once connected, rejects with a `DunlinError` when the client is closed for good. */
  ready(): Promise<this>;

  /** Sends a request and resolves with the answer. Rejects with a `DunlinError`, always. */
  request<R extends Key<A["requests"]>>(
    route: R,
    body: A["requests"][R]["in"] | Uint8Array | ArrayBuffer,
    options: RequestOptions & { binary: true },
  ): Promise<Uint8Array>;
  request<R extends Key<A["requests"]>>(
    route: R,
    body?: A["requests"][R]["in"] | Uint8Array | ArrayBuffer,
    options?: RequestOptions,
  ): Promise<A["requests"][R]["out"]>;

  /**
   * Sends a message that has no answer. False: not connected or too much unsent, nothing was sent.
   * Throws a `DunlinError` when the message cannot be written ("too_long", "invalid").
   */
  notify<R extends Key<A["notifies"]>>(
    route: R,
    body?: A["notifies"][R] | Uint8Array | ArrayBuffer,
  ): boolean;

  /** Measures the round trip now and resolves with it in milliseconds. */
  ping(options?: { timeout?: number; signal?: AbortSignal }): Promise<number>;

  /**
   * Listens to an event of the client or to the pushes of a route; returns a function that ends it.
   * A route named like an event cannot be listened to.
   */
  on<E extends keyof ClientEvents>(event: E, fn: (value: ClientEvents[E]) => void): () => void;
  on(route: Key<A["pushes"]>, fn: (body: Uint8Array) => void, options: { binary: true }): () => void;
  on<R extends Key<A["pushes"]>>(
    route: R,
    fn: (body: A["pushes"][R]) => void,
    options?: ListenOptions,
  ): () => void;

  /** Closes for good. Everything still waiting is rejected with the code "closed". */
  close(): void;
}

/** Opens a connection and returns its client at once. A relative URL is resolved against the page. */
export function connect<A extends Api = Api>(url: string | URL, options?: Options): Client<A>;

// The codec, for tests and tools.

export interface Packet {
  /** 1 handshake, 2 ack, 3 heartbeat, 4 data, 5 kick. */
  type: number;
  body: Uint8Array;
}

export interface Message {
  /** 0 request, 1 notify, 2 response, 3 push. */
  type: number;
  /** `null` where the type carries none. */
  id: number | null;
  /** `null` in a response. */
  route: string | null;
  flags: number;
  body: Uint8Array;
}

export class Dictionary {
  constructor(entries?: Record<string, number> | null);
  readonly codes: Map<string, number>;
  readonly routes: Map<number, string>;
}

export class PacketReader {
  constructor(limit?: number);
  /** Takes the next bytes and returns the packets they complete; throws a `DunlinError`. */
  read(bytes: Uint8Array): Packet[];
}

export function encodePacket(type: number, body?: Uint8Array): Uint8Array;
export function encodeMessage(
  message: { type: number; id?: number | null; route?: string | null; body?: Uint8Array },
  dictionary?: Dictionary | null,
): Uint8Array;
export function decodeMessage(bytes: Uint8Array, dictionary?: Dictionary | null): Message;
export function backoffDelay(
  failures: number,
  options: { minDelay: number; maxDelay: number },
  random?: () => number,
): number;
