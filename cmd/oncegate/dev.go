package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"oncegate/internal/cfn"
	"oncegate/internal/cfn/check"
	"oncegate/internal/config"
	"oncegate/internal/local"
	"oncegate/internal/local/cloudfront"
	"oncegate/internal/local/dynamoserver"
	"oncegate/internal/local/s3server"
)

const devHelp = `oncegate dev [flags]

Plays the synthesized templates on this machine: a small CloudFront and Lambda in
front of a real S3 server, all on 127.0.0.1. Run it at the root of the repository, where
make dev synthesizes first, or anywhere with --template and the templates of a release.
Ctrl-C stops everything.

    --template DIR    what was synthesized: templates, edge code, settings (build/cdk.out)
    --config PATH     refuse templates that were synthesized with other settings
    --port N          where CloudFront listens (8080, or $PORT)
    --s3-port N       where S3 listens (9000, or $S3_PORT)
    --host NAME       answer viewers that have connected by this name, too; may be given
                      again. Without it only localhost, *.localhost, 127.0.0.0/8 and ::1
    --response-policy MODE
                      what the response headers policy is put on, which AWS leaves open:
                      origin-only, S3's answers; all, the functions' too (origin-only)
    --limits MODE     how large a request may be, about which AWS's pages disagree: quotas,
                      20,480 bytes, else 413; wide, 32,768, else 494 (quotas)
    --continue MODE   who answers Expect: 100-continue, which AWS leaves open: at-once,
                      CloudFront before the function; by-answer, once the function has
                      let the upload pass; never, nobody (at-once)
    --concurrency N   at most N functions at once, in the edge's Region and in the bucket's;
                      one more is throttled, 503 without x-oncegate-reason (no bound)
    --data DIR        the bucket and what belongs to it; survives restarts (build/dev)
    --max-workers N   Node processes per function (twice the cores, at least 4)
    --node PATH       Node, of the version that the templates ask for (the one that npm ci
                      has put here, else node on the PATH)
    --s3-server PATH  the S3 server versitygw (the one that make tools has put here, else
                      versitygw on the PATH)

Example: oncegate dev --port 8081 --s3-port 9001
`

type devOptions struct {
	template, config, data string
	node, s3Server         string
	port, s3Port           int
	edge                   cloudfront.Options // what the flags say of it
}

func parseDev(args []string) (devOptions, error) {
	var o devOptions
	fs := newFlags("dev")
	fs.StringVar(&o.template, "template", "build/cdk.out", "")
	fs.StringVar(&o.config, "config", "", "")
	fs.StringVar(&o.data, "data", "build/dev", "")
	fs.StringVar(&o.node, "node", "", "")
	fs.StringVar(&o.s3Server, "s3-server", "", "")
	port := fs.String("port", envOr("PORT", "8080"), "")
	s3Port := fs.String("s3-port", envOr("S3_PORT", "9000"), "")
	var policy, limits, answer mode
	policy.add(fs, "response-policy", "origin-only", "all")
	limits.add(fs, "limits", "quotas", "wide")
	answer.add(fs, "continue", "at-once", "by-answer", "never")
	fs.Func("host", "", func(name string) error {
		o.edge.Hosts = append(o.edge.Hosts, name)
		return nil
	})
	fs.IntVar(&o.edge.Concurrency, "concurrency", 0, "")
	fs.IntVar(&o.edge.MaxWorkers, "max-workers", 0, "")
	if err := parse(fs, args); err != nil {
		return o, err
	}
	if o.edge.MaxWorkers < 0 {
		return o, usagef(fs, "--max-workers is %d: allowed is 1 or more", o.edge.MaxWorkers)
	}
	if o.edge.Concurrency < 0 {
		return o, usagef(fs, "--concurrency is %d: allowed is 1 or more", o.edge.Concurrency)
	}
	for _, name := range o.edge.Hosts {
		if name == "" || strings.ContainsAny(name, ":/*[] ") && net.ParseIP(name) == nil {
			return o, usagef(fs, "--host is %q: allowed is a name or an address, without scheme and port", name)
		}
	}
	for _, m := range []*mode{&policy, &limits, &answer} {
		if m.chosen() < 0 {
			return o, usagef(fs, "--%s is %q: allowed are %s", m.flag, m.value, m.words())
		}
	}
	o.edge.PolicyOnGenerated = policy.chosen() == 1
	o.edge.WideLimits = limits.chosen() == 1
	o.edge.Continue = cloudfront.Continue(answer.chosen())
	var err error
	if o.port, err = parsePort("--port (PORT)", *port); err != nil {
		return o, err
	}
	o.s3Port, err = parsePort("--s3-port (S3_PORT)", *s3Port)
	return o, err
}

// mode is a flag that takes one of a few words. The first one is the default.
type mode struct {
	flag, value string
	allowed     []string
}

func (m *mode) add(fs *flag.FlagSet, name string, allowed ...string) {
	m.flag, m.allowed = name, allowed
	fs.StringVar(&m.value, name, allowed[0], "")
}

// words are what is allowed, for a sentence.
func (m *mode) words() string {
	last := len(m.allowed) - 1
	return strings.Join(m.allowed[:last], ", ") + " and " + m.allowed[last]
}

// chosen is the word's place, or -1.
func (m *mode) chosen() int { return slices.Index(m.allowed, m.value) }

func envOr(name, value string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return value
}

// parsePort takes 0 for any free port.
func parsePort(name, s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, usageError{fmt.Errorf("%s is %q: allowed is a port number", name, s)}
	}
	return int(n), nil
}

func runDev(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseDev(args)
	if err != nil {
		return err
	}
	deployment, conf, err := readTemplates(o)
	if err != nil {
		return err
	}
	err = play(ctx, o, deployment, conf, stdout, slog.New(newLineHandler(stderr)))
	if ctx.Err() != nil {
		return nil // stopped, as asked
	}
	return o.explain(err)
}

// play plays the deployment until the context ends.
func play(ctx context.Context, o devOptions, deployment *cfn.Deployment, conf config.Config, stdout io.Writer, log *slog.Logger) error {
	lock, err := lockData(o.data)
	if err != nil {
		return err
	}
	defer lock.release()
	// Whoever waits for the file must not find the one of an earlier run, which names
	// ports that are dead or another's.
	if err := os.Remove(envPath(o.data)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	keys, err := localCredentials(o.data)
	if err != nil {
		return err
	}
	parameters, err := localParameters(o.data, conf)
	if err != nil {
		return err
	}
	began := time.Now()
	defer os.Remove(envPath(o.data))

	starting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var host string
	var at local.Addresses
	edge := o.edge
	edge.Node = o.findNode
	edge.Addr, edge.Log = address(o.port), log
	aws, err := local.Start(starting, deployment, local.Options{
		S3: s3server.Options{
			Binary: o.findS3Server(), Dir: filepath.Join(o.data, "s3"),
			Operator: keys, Addr: address(o.s3Port), Log: log,
		},
		Table: dynamoserver.Options{Dir: filepath.Join(o.data, "dynamodb"), Addr: address(0)},
		Edge:  edge,
		Jobs:  local.Jobs{Dir: o.data, Parameters: parameters},
		Listening: func(addresses local.Addresses) error {
			at = addresses
			host = strings.Replace(strings.TrimPrefix(at.Edge, "http://"), "127.0.0.1", "localhost", 1)
			at.Edge = "http://" + host
			return errors.Join(lock.note(at.Edge), writeEnv(o.data, at, conf, keys, parameters))
		},
	})
	if err != nil {
		return err
	}
	defer aws.Close()
	if err := ready(starting, aws.Edge.URL()); err != nil {
		return err
	}
	link, err := devLink(starting, conf, at, keys)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, `ready after %.1f s. In a second terminal:

    URL=$(curl -s %s/url)
    curl -i -T photo.jpg "$URL"
    curl -i -T photo.jpg "$URL"
%s
The bucket is in %s; to look into it:

    . %s; aws s3 ls "s3://$ONCEGATE_BUCKET" --recursive

Ctrl-C stops everything.
`, time.Since(began).Seconds(), host, link, filepath.Join(o.data, "s3"), envPath(o.data))

	if aws.Table != nil {
		fmt.Fprintf(stdout, "\nThe index is the table %s, kept in %s; to look into it:\n\n    . %s; aws dynamodb scan --table-name %[1]s\n",
			conf.Table(), filepath.Join(o.data, "dynamodb"), envPath(o.data))
	}
	if conf.Acceptance.On {
		fmt.Fprintf(stdout, "\nWhat is accepted is announced in %s.\n", filepath.Join(o.data, "events.jsonl"))
	}
	<-ctx.Done()
	aws.Close()
	fmt.Fprintf(stdout, "stopped; resident memory %s\n", residentMemory())
	return nil
}

// versitygw is where make tools puts the S3 server, from the repository's root.
const versitygw = "build/tools/versitygw"

// findS3Server returns the S3 server's program. One that is nowhere is where make tools would
// put it.
func (o devOptions) findS3Server() string {
	if o.s3Server != "" {
		return o.s3Server
	}
	if _, err := os.Stat(versitygw); err != nil {
		if path, err := exec.LookPath("versitygw"); err == nil {
			return path
		}
	}
	return versitygw
}

// findNode returns the Node program for a runtime of Lambda.
func (o devOptions) findNode(runtime string) (string, error) {
	if o.node != "" {
		return o.node, nil
	}
	path, err := cloudfront.FindNode(".", runtime)
	if err != nil {
		if other, notFound := exec.LookPath("node"); notFound == nil {
			return other, nil
		}
	}
	return path, err
}

// address is a port of this machine alone.
func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// readTemplates reads what was synthesized and the settings that the functions were
// packed with. It refuses what breaks a promise, before anything is played.
func readTemplates(o devOptions) (*cfn.Deployment, config.Config, error) {
	var conf config.Config
	d, err := cfn.Read(o.template)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, conf, fmt.Errorf("there are no templates in %s: run `make %s`", o.template, devTemplates)
	}
	if err != nil {
		return nil, conf, err
	}
	for _, name := range slices.Sorted(maps.Keys(d.Functions)) {
		if conf, err = config.Load(filepath.Join(d.Functions[name].Directory, "config.json")); err != nil {
			return nil, conf, fmt.Errorf("function %s: %w", name, err)
		}
	}
	if o.config != "" {
		wanted, err := config.Load(o.config)
		if err != nil {
			return nil, conf, err
		}
		if !reflect.DeepEqual(conf, wanted) {
			return nil, conf, fmt.Errorf("%s was synthesized with other settings than %s: run `make %s CONFIG=%s`", o.template, o.config, devTemplates, o.config)
		}
	}
	if problems := check.Deployment(d, conf); len(problems) > 0 {
		lines := make([]string, len(problems))
		for i, p := range problems {
			lines[i] = p.String()
		}
		return nil, conf, fmt.Errorf("the templates in %s break what oncegate promises:\n    %s", o.template, strings.Join(lines, "\n    "))
	}
	return d, conf, nil
}

// devTemplates is what to make for the templates.
const devTemplates = "build/cdk.out/manifest.json"

// ready has each function run once, so that what keeps it from running shows
// now. Neither request makes or spends a URL.
func ready(ctx context.Context, url string) error {
	for _, probe := range []struct{ method, path string }{{http.MethodHead, "/url"}, {http.MethodOptions, "/"}} {
		req, err := http.NewRequestWithContext(ctx, probe.method, url+probe.path, nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return fmt.Errorf("the local edge does not answer: %w", err)
		}
		res.Body.Close()
		if res.StatusCode >= 500 {
			return fmt.Errorf("the edge code answers %s %s with %d: the lines above say why", probe.method, probe.path, res.StatusCode)
		}
	}
	return nil
}

// residentMemory is this process's own: now, and at most since its start.
func residentMemory() string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "unknown on this system"
	}
	kB := func(field string) int {
		_, rest, _ := strings.Cut(string(status), "\n"+field+":")
		var n int
		fmt.Sscan(rest, &n) // stays 0 where the kernel does not tell
		return n
	}
	return fmt.Sprintf("%d MB, at most %d MB", kB("VmRSS")/1024, kB("VmHWM")/1024)
}
