// A client of the control API: one call, one stream, and what an error says.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	admin "penstock-client/gen/penstock/admin/v1"
)

func main() {
	// credentials.NewTLS(...) where the server speaks TLS; "unix:DIR/admin.sock" needs no token.
	conn, err := grpc.NewClient(os.Getenv("PENSTOCK_ENDPOINT"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+os.Getenv("PENSTOCK_TOKEN"))
	system := admin.NewSystemServiceClient(conn)

	version, err := system.GetVersion(ctx, &admin.GetVersionRequest{})
	if err != nil {
		fail(err)
	}
	fmt.Println("version", version.GetVersion())

	events, err := system.WatchEvents(ctx, &admin.WatchEventsRequest{})
	if err != nil {
		fail(err)
	}
	for {
		answer, err := events.Recv()
		if err != nil {
			fail(err)
		}
		if answer.GetEvent().GetKind() == admin.EventKind_EVENT_KIND_BOOKMARK {
			break
		}
		fmt.Println("event", answer.GetEvent().GetName())
	}

	_, err = admin.NewBackendServiceClient(conn).GetBackend(ctx, &admin.GetBackendRequest{Name: "backends/nowhere"})
	fail(err)
}

// fail tells the code and the reason, and ends the program.
func fail(err error) {
	failed := status.Convert(err)
	for _, detail := range failed.Details() {
		if info, is := detail.(*errdetails.ErrorInfo); is {
			fmt.Println("error", failed.Code(), info.GetReason(), info.GetDomain())
		}
	}
	os.Exit(1)
}
