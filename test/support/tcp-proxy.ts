import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** What happens to the bytes that the server sends back. */
export type Mischief =
  | { readonly kind: 'none' }
  | { readonly kind: 'delay'; readonly ms: number }
  /** Every connection ends after that many bytes. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** Nothing comes back. */
  | { readonly kind: 'swallow' };

/** A proxy on a loopback port that can be told to misbehave. */
export class TcpProxy {
  mischief: Mischief = { kind: 'none' };
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #timers = new Set<NodeJS.Timeout>();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(targetPort: number): Promise<TcpProxy> {
    const server = createServer();
    const proxy = new TcpProxy(server);
    server.on('connection', (client) => proxy.#join(client, connect(targetPort, '127.0.0.1')));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Connections through it that are open now. */
  get open(): number {
    return this.#sockets.size / 2;
  }

  /** Ends every connection without a word, as a firewall or an idle limit does. */
  dropAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#server.close();
    this.dropAll();
    await once(this.#server, 'close');
  }

  #join(client: Socket, server: Socket): void {
    let sentBytes = 0;
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    client.on('data', (data) => server.write(data));
    server.on('data', (data) => {
      const { mischief } = this;
      if (mischief.kind === 'none') client.write(data);
      if (mischief.kind === 'delay') {
        const timer = setTimeout(() => {
          this.#timers.delete(timer);
          client.write(data);
        }, mischief.ms);
        this.#timers.add(timer);
      }
      if (mischief.kind === 'cut') {
        const rest = mischief.afterBytes - sentBytes;
        if (rest > data.length) client.write(data);
        else client.end(data.subarray(0, rest), () => client.destroy());
      }
      sentBytes += data.length;
    });
  }
}
