package local

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"oncegate/internal/cfn"
	"oncegate/internal/lean/sigv4"
	"oncegate/internal/local/api"
	"oncegate/internal/local/cloudfront"
	"oncegate/internal/local/cloudwatch"
	"oncegate/internal/local/container"
	"oncegate/internal/local/lambda"
)

// concurrency bounds the processes of one regional function.
const concurrency = 16

// regional are the functions in the bucket's Region, with the APIs by which they are
// invoked and which they call.
type regional struct {
	Lambda   *api.Lambda
	Services *api.Services
	server   *http.Server
	served   chan struct{}
	url      string
}

// startRegional makes the functions ready and serves the APIs, which only these callers may
// use. endpoints are variables that say where other services are. quota bounds the invocations of all functions together; 0 means
// no bound.
func startRegional(d *cfn.Deployment, j *jobs, callers []api.Caller, endpoints map[string]string, metrics *cloudwatch.Metrics, quota int, log *slog.Logger) (*regional, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	functions := &api.Lambda{Region: d.Bucket.Region, Account: cloudfront.Account, Functions: map[string]*lambda.Function{}, Log: log}
	keys := map[string]sigv4.Credentials{} // by role
	for _, c := range callers {
		keys[c.ARN] = c.Credentials
		if strings.Contains(c.ARN, ":role/") {
			functions.Callers = append(functions.Callers, c)
		}
	}
	services, err := j.services(callers)
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for calls of AWS APIs: %w", err)
	}
	account := container.NewConcurrency(quota)
	n := &regional{Lambda: functions, Services: services, served: make(chan struct{}), url: "http://" + ln.Addr().String()}
	for _, name := range slices.Sorted(maps.Keys(d.Regional)) {
		f := d.Regional[name]
		environment := map[string]string{
			"ONCEGATE_VIEWER_SCHEME":       "http",
			"AWS_ENDPOINT_URL_EVENTBRIDGE": n.url, "AWS_ENDPOINT_URL_SQS": n.url, "AWS_ENDPOINT_URL_SSM": n.url,
		}
		maps.Copy(environment, endpoints)
		maps.Copy(environment, f.Environment.Variables)
		fn, err := lambda.New(lambda.Options{
			Name: name, ARN: fmt.Sprintf("arn:aws:lambda:%s:%s:function:%s", f.Region, cloudfront.Account, name), Region: f.Region,
			Directory: f.Directory, Environment: environment, Credentials: keys[cloudfront.RoleARN(f.Role)], MemoryMB: f.MemorySize,
			Timeout: time.Duration(f.Timeout) * time.Second, Concurrency: max(concurrency, quota), Account: account, Metrics: metrics, Log: log,
		})
		if err != nil {
			n.closeFunctions()
			ln.Close()
			return nil, err
		}
		functions.Functions[name] = fn
	}
	n.server = &http.Server{Handler: n, ReadHeaderTimeout: 30 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	go func() {
		defer close(n.served)
		if err := n.server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the AWS APIs have stopped", "err", err)
		}
	}()
	return n, nil
}

// ServeHTTP answers for all APIs: a call of Lambda's has a path, any other has a target.
func (g *regional) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Amz-Target") != "" {
		g.Services.ServeHTTP(w, r)
		return
	}
	g.Lambda.ServeHTTP(w, r)
}

func (g *regional) closeFunctions() {
	for _, f := range g.Lambda.Functions {
		f.Close()
	}
}

// close ends the API and all processes.
func (g *regional) close() error {
	err := g.server.Close()
	<-g.served
	g.closeFunctions()
	return err
}
