// The Node peer of the bench: raw WebSocket frames on the npm package ws, echo and broadcast, no packet protocol.
//
// The load puts the same packets into the frames. Two packet types that the protocol does not have steer it:
// 0x10 joins the group, 0x11 broadcasts; every other frame is echoed as it is.
// Prints "listening ADDR" once it accepts, and ends when its standard input ends.
import { WebSocketServer } from "ws";

const JOIN = 0x10;
const BURST = 0x11;
const BODY_LEN = 32;
const ROUTE = "onBench";

const members = new Set();

/** A push packet as the protocol writes it, so that the load decodes what it decodes from the others. */
function pushPacket(sequence) {
  const messageLen = 2 + ROUTE.length + BODY_LEN;
  const packet = Buffer.alloc(4 + messageLen);
  packet.writeUInt8(4, 0);
  packet.writeUIntBE(messageLen, 1, 3);
  packet.writeUInt8(6, 4);
  packet.writeUInt8(ROUTE.length, 5);
  packet.write(ROUTE, 6, "latin1");
  packet.writeBigUInt64LE(sequence, 6 + ROUTE.length);
  return packet;
}

function burst(payload) {
  const count = payload.readUInt32LE(4);
  const first = payload.readBigUInt64LE(8);
  for (let i = 0n; i < BigInt(count); i += 1n) {
    const packet = pushPacket(first + i);
    for (const member of members) member.send(packet);
  }
}

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false, backlog: 4096 });
server.on("listening", () => console.log(`listening 127.0.0.1:${server.address().port}`));
server.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("close", () => members.delete(socket));
  socket.on("message", (payload) => {
    if (payload[0] === JOIN) members.add(socket);
    else if (payload[0] === BURST && payload.length >= 16) burst(payload);
    socket.send(payload);
  });
});

process.stdin.on("end", () => process.exit(0));
process.stdin.resume();
