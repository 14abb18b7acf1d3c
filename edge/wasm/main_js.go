// Command wasm is the edge functions as WebAssembly: it joins package edge to the
// Node handler (edge/node/index.mjs), which instantiates it and does the network.
//
// The handler gives it these functions, besides what every Go program has from Go's
// own wasm_exec.js:
//
//	setting(name)           announces the text of config.json, or the value of an
//	                        environment variable; its length, or -1 if there is none
//	take(at)                copies what was announced last into the program's memory
//	ready(endpoints, keysURL)
//	                        says that the program may be called, where S3 is and, on
//	                        a line of its own, DynamoDB, if it has the index, and
//	                        what fetchKeys gets, if anything
//	send(id, endpoint, request, body, limitMs)
//	                        makes one HTTP request to S3, endpoint 0, or to DynamoDB,
//	                        1: on lines, method, target, and in turn the headers'
//	                        names and values. Ends in a call of received.
//	fetchKeys(id, limitMs)  makes one HTTP request to keysURL. Ends in a call of
//	                        received.
//	done(id, resultJSON)    takes the result of an invocation
//	log(line)               takes a line of the function's log, in JSON
//	random(at, length)      fills memory with random bytes
//	sha256(at, length, sum) see package digest
//	md5(at, length, sum)    the same
//
// and calls these, with a text announced where there is a length:
//
//	begin()                 first of all
//	invoke(id, length, remainingMs)
//	                        the function's name on a line, then the event in JSON
//	received(id, status, length, bodyAt, stale)
//	                        the answer's headers, names and values in turn on lines,
//	                        then the body. Status 0: there is none, and the text says
//	                        why
//
// After each call it lets the program run until it waits again. By way of syscall/js,
// which both ways are usually gone, a call costs ten crossings and what they leave to
// the garbage collector, a tenth of a warm invocation.
//
// There are two builds. With tag jwt it can check tokens, which takes code that
// nobody else should have to load; see newBearer. With tag edge, which both have,
// digests are Node's.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
	"unsafe"

	"oncegate/edge"
	"oncegate/edge/setup"
	"oncegate/internal/config"
	"oncegate/internal/dynamo"
	"oncegate/internal/dynamo/dynamowire"
	"oncegate/internal/lean/sigv4"
	"oncegate/internal/lean/wire"
	"oncegate/internal/s3wire"
)

//go:wasmimport oncegate setting
func hostSetting(name string) int32

//go:wasmimport oncegate take
func hostTake(at unsafe.Pointer)

//go:wasmimport oncegate ready
func hostReady(endpoints, keysURL string)

//go:wasmimport oncegate send
func hostSend(id, endpoint uint32, request, body string, limitMs uint32)

//go:wasmimport oncegate done
func hostDone(id uint32, resultJSON string)

//go:wasmimport oncegate log
func hostLog(line string)

//go:wasmimport oncegate random
func hostRandom(at unsafe.Pointer, length uint32)

// taken is the text that was announced.
func taken(length int32) []byte {
	text := make([]byte, length)
	hostTake(unsafe.Pointer(unsafe.SliceData(text)))
	return text
}

// text is b without a copy. Nobody may write to b afterwards.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func setting(name string) string {
	if length := hostSetting(name); length > 0 {
		return text(taken(length))
	}
	return ""
}

// entropy is Node's, fetched many bytes at a time: nearly all that it costs is the call.
type entropy struct {
	mu   sync.Mutex
	pool [1024]byte
	left int // bytes at the end of pool that nobody has had
}

// Read may return less than is asked for, as any io.Reader.
func (e *entropy) Read(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.left == 0 {
		hostRandom(unsafe.Pointer(&e.pool), uint32(len(e.pool)))
		e.left = len(e.pool)
	}
	unused := e.pool[len(e.pool)-e.left:]
	n := copy(p, unused)
	clear(unused[:n])
	e.left -= n
	return n, nil
}

// answerReserve is kept of an invocation's time for the way back to CloudFront.
const answerReserve = 200 * time.Millisecond

// What the exported functions below work on; set before the handler may call them.
var (
	functions *edge.Functions
	random    = &entropy{}
	requests  = &pending{answers: map[uint32]chan reply{}}
)

// begun is closed when the program may begin.
var begun = make(chan struct{})

// begin is called by the handler, once.
//
//lint:ignore U1000 the handler calls it
//go:wasmexport begin
func begin() { close(begun) }

// main does nothing before it waits: what is done by then is done when the program is built,
// and written down with it (edge/node/snapshot.mjs). So nothing may depend on settings,
// time or chance before that.
func main() {
	<-begun
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "oncegate:", err)
		os.Exit(1)
	}
	select {} // the handler calls what is exported
}

// run sets the functions up and says that they may be called.
func run() error {
	conf, err := config.Parse([]byte(setting("config")))
	if err != nil {
		return fmt.Errorf("config.json: %w", err)
	}
	override, viewerScheme := setting("AWS_ENDPOINT_URL_S3"), setting("ONCEGATE_VIEWER_SCHEME")
	endpoint, err := s3wire.NewEndpoint(conf.Bucket, conf.Region, override)
	if err != nil {
		return err
	}
	role := sigv4.Credentials{
		AccessKeyID:     setting("AWS_ACCESS_KEY_ID"),
		SecretAccessKey: setting("AWS_SECRET_ACCESS_KEY"),
		SessionToken:    setting("AWS_SESSION_TOKEN"),
	}
	client := s3wire.New(conf.Bucket, conf.Region, endpoint, role, toS3, time.Now)
	endpoints := endpoint.URL()
	store, err := setup.StoreOf(conf, client.Records(), func() (dynamo.Table, error) {
		endpoint, err := dynamowire.NewEndpoint(conf.Region, setting("AWS_ENDPOINT_URL_DYNAMODB"))
		if err != nil {
			return nil, err
		}
		endpoints += "\n" + endpoint.URL()
		return dynamowire.New(conf.Table(), conf.Region, endpoint, role, toDynamoDB, time.Now), nil
	})
	if err != nil {
		return err
	}
	functions = setup.New(conf, store, store, client, random, viewerScheme, func(line []byte) { hostLog(text(line)) })
	// The real edge can have neither of the variables that say so.
	local := viewerScheme == "http" && override != ""
	if functions.Auth, err = setup.NewAuthorizer(conf.Auth, store, random, local, newBearer); err != nil {
		return err
	}
	hostReady(endpoints, conf.Auth.JWT.JWKS)
	return nil
}

// invoke is called by the handler. It must not wait, and the decision waits for S3.
//
//lint:ignore U1000 the handler calls it
//go:wasmexport invoke
func invoke(id uint32, length, remainingMs int32) {
	deadline := time.Now().Add(time.Duration(remainingMs)*time.Millisecond - answerReserve)
	name, event, _ := strings.Cut(text(taken(length)), "\n")
	work := func() { hostDone(id, text(functions.Handle(context.Background(), name, event, deadline))) }
	select {
	case idle <- work:
	default:
		go func() {
			for {
				work()
				work = <-idle
			}
		}()
	}
}

// idle are the goroutines that wait for an invocation: a new one would have to let its
// stack grow first, each time.
var idle = make(chan func())

// endpoint is wire.Sender by way of the Node handler, which knows endpoints by number.
type endpoint uint32

const (
	toS3 endpoint = iota
	toDynamoDB
)

// Send implements wire.Sender. The handler ends every request within limit, so there is no
// timer here.
func (e endpoint) Send(_ context.Context, limit time.Duration, method, target string, headers []wire.Header, body []byte) (wire.Reply, error) {
	request := make([]byte, 0, 2048)
	request = append(append(append(request, method...), '\n'), target...)
	for _, h := range headers {
		request = append(append(request, '\n'), h.Name...)
		request = append(append(request, '\n'), h.Value...)
	}
	return requests.await(func(id uint32) { hostSend(id, uint32(e), text(request), text(body), uint32(limit.Milliseconds())) })
}

// pending are the requests under way.
type pending struct {
	mu      sync.Mutex
	lastID  uint32
	answers map[uint32]chan reply
}

type reply struct {
	wire.Reply
	err error
}

// await has a request made and waits for its outcome.
func (p *pending) await(request func(id uint32)) (wire.Reply, error) {
	answered := make(chan reply, 1)
	p.mu.Lock()
	p.lastID++
	id := p.lastID
	p.answers[id] = answered
	p.mu.Unlock()
	request(id)
	r := <-answered
	return r.Reply, r.err
}

// received is called by the handler with the outcome of a request.
//
//lint:ignore U1000 the handler calls it
//go:wasmexport received
func received(id uint32, status, length, bodyAt, stale int32) {
	answer := taken(length)
	requests.mu.Lock()
	answered := requests.answers[id]
	delete(requests.answers, id)
	requests.mu.Unlock()
	if answered == nil {
		return
	}
	if status == 0 {
		err := errors.New(text(answer))
		if stale != 0 {
			err = fmt.Errorf("%w: %w", wire.ErrStale, err)
		}
		answered <- reply{err: err}
		return
	}
	r := wire.Reply{Status: int(status), Body: answer[bodyAt:]}
	for lines := text(answer[:bodyAt]); lines != ""; {
		var h wire.Header
		h.Name, lines, _ = strings.Cut(lines, "\n")
		h.Value, lines, _ = strings.Cut(lines, "\n")
		r.Headers = append(r.Headers, h)
	}
	answered <- reply{Reply: r}
}
