package verify_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"oncegate/internal/verify"
)

// Verify a deployment, here a server that is none. Every line that does not hold says
// what was expected and what came.
func Example() {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()

	report, err := verify.Run(context.Background(), verify.Options{URL: server.URL, LargeBytes: 1000, EarlyBytes: 1000})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("every promise is kept:", report.OK)
	for _, l := range report.Lines[:2] {
		fmt.Println(l.Text())
	}
	// Output:
	// every promise is kept: false
	// FAIL    mint                 GET /url answers 200, text/plain, with a presigned URL on this very host
	//                              expected 200
	//                              got      404 without x-oncegate-reason
	// skipped mint-again           two GET /url give two URLs
	//                              mint failed
}
