import com.google.rpc.ErrorInfo;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.MetadataUtils;
import java.util.concurrent.TimeUnit;
import penstock.admin.v1.BackendServiceGrpc;
import penstock.admin.v1.EventKind;
import penstock.admin.v1.GetBackendRequest;
import penstock.admin.v1.GetVersionRequest;
import penstock.admin.v1.SystemServiceGrpc;
import penstock.admin.v1.WatchEventsRequest;

/** A client of the control API: one call, one stream, and what an error says. */
public final class Client {
    public static void main(String[] arguments) throws Exception {
        // TlsChannelCredentials.create() where the server speaks TLS.
        ManagedChannel channel =
            Grpc.newChannelBuilder(System.getenv("PENSTOCK_ENDPOINT"), InsecureChannelCredentials.create()).build();
        Metadata token = new Metadata();
        token.put(
            Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER),
            "Bearer " + System.getenv("PENSTOCK_TOKEN"));
        var withToken = MetadataUtils.newAttachHeadersInterceptor(token);
        var system = SystemServiceGrpc.newBlockingStub(channel).withInterceptors(withToken);

        try {
            var version = system.getVersion(GetVersionRequest.getDefaultInstance());
            System.out.println("version " + version.getVersion());

            var events = system.watchEvents(WatchEventsRequest.getDefaultInstance());
            for (var event = events.next().getEvent();
                event.getKind() != EventKind.EVENT_KIND_BOOKMARK;
                event = events.next().getEvent()) {
                System.out.println("event " + event.getName());
            }

            var missing = GetBackendRequest.newBuilder().setName("backends/nowhere").build();
            BackendServiceGrpc.newBlockingStub(channel).withInterceptors(withToken).getBackend(missing);
        } catch (StatusRuntimeException failed) {
            for (var detail : StatusProto.fromThrowable(failed).getDetailsList()) {
                if (detail.is(ErrorInfo.class)) {
                    var info = detail.unpack(ErrorInfo.class);
                    System.out.println(
                        "error " + failed.getStatus().getCode() + " " + info.getReason() + " " + info.getDomain());
                }
            }
        }
        channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
        System.exit(1);
    }
}
