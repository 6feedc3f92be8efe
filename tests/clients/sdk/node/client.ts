// A client of the control API: one call, one stream, and what an error says.
import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { ErrorInfoSchema } from "./gen/google/rpc/error_details_pb.js";
import { BackendService } from "./gen/penstock/admin/v1/backend_service_pb.js";
import { EventKind } from "./gen/penstock/admin/v1/event_pb.js";
import { SystemService } from "./gen/penstock/admin/v1/system_service_pb.js";

const withToken: Interceptor = (next) => (request) => {
  request.header.set("authorization", `Bearer ${process.env.PENSTOCK_TOKEN}`);
  return next(request);
};
// "https://..." where the server speaks TLS.
const transport = createGrpcTransport({
  baseUrl: `http://${process.env.PENSTOCK_ENDPOINT}`,
  interceptors: [withToken],
});
const system = createClient(SystemService, transport);

try {
  const version = await system.getVersion({});
  console.log("version", version.version);

  for await (const { event } of system.watchEvents({})) {
    if (event === undefined || event.kind === EventKind.BOOKMARK) break;
    console.log("event", event.name);
  }

  await createClient(BackendService, transport).getBackend({ name: "backends/nowhere" });
} catch (failed) {
  const error = ConnectError.from(failed);
  for (const info of error.findDetails(ErrorInfoSchema)) {
    console.log("error", Code[error.code], info.reason, info.domain);
  }
  process.exit(1);
}
