import { createServer, type Server } from 'node:http';

/** For a request to be whole, and for the next one on the same connection to begin. */
const REQUEST_TIMEOUT_MS = 5_000;

/** Not listening yet. Nobody holds it up by being slow. */
export function newHttpServer(maxHeaderBytes: number): Server {
  const server = createServer({
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: REQUEST_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: 1_000,
  });
  server.timeout = 2 * REQUEST_TIMEOUT_MS;
  return server;
}

/** Ends the requests in hand, too. */
export function closeHttpServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
