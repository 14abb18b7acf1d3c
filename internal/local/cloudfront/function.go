package cloudfront

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"strconv"

	"oncegate/edge"
	"oncegate/internal/local/container"
)

// function is a function with its containers.
type function struct {
	Function
	containers *container.Pool[invocation, json.RawMessage]
}

// newFunction makes a function ready. further are variables of its environment, each
// NAME=value, besides Lambda's.
func newFunction(fn Function, region, endpoint string, further []string, node nodeBinary, limit int, account *container.Concurrency, log *slog.Logger) *function {
	log = log.With("function", fn.Name)
	env := container.List(environment(fn, region, endpoint))
	env = append(env, further...)
	return &function{fn, container.New(container.Options[invocation, json.RawMessage]{
		Start: func() (container.Container[invocation, json.RawMessage], error) {
			return startWorker(node.path, fn, env, log)
		},
		Limit: limit, Account: account, Timeout: fn.Timeout, MemoryMB: fn.MemoryMB, Log: log,
	})}
}

// environment is what Lambda gives a Node function at the edge, and two variables more
// that only the local edge has.
func environment(fn Function, region, endpoint string) map[string]string {
	env := container.Function{
		Name: fn.edgeName(), Version: "1", Handler: fn.Handler, Region: region, Directory: fn.Directory,
		MemoryMB: fn.MemoryMB, Credentials: fn.Credentials,
	}.Environment()
	env["AWS_EXECUTION_ENV"] = "AWS_Lambda_" + fn.Runtime
	env["AWS_ENDPOINT_URL_S3"] = endpoint
	env["ONCEGATE_VIEWER_SCHEME"] = "http"
	return env
}

// edgeName is the name by which a function knows itself at the edge.
func (fn Function) edgeName() string { return "us-east-1." + fn.Name }

// invoke runs the function once. The context bounds the wait for a free container alone.
func (f *function) invoke(ctx context.Context, requestID string, event edge.Event) (json.RawMessage, error) {
	return f.containers.Invoke(ctx, invocation{Event: event, Context: lambdaContext{
		AWSRequestID:       requestID,
		FunctionName:       f.edgeName(),
		FunctionVersion:    "1",
		MemoryLimitInMB:    strconv.Itoa(f.MemoryMB),
		InvokedFunctionARN: "arn:aws:lambda:us-east-1:" + Account + ":function:" + f.Name + ":1",
	}})
}

// defaultLimit is how many containers one function may have where nobody says.
func defaultLimit(limit, cores int) int { return cmp.Or(limit, max(4, 2*cores)) }
