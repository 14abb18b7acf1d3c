package cloudfront

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"oncegate/edge"
	"oncegate/internal/local/container"
	"oncegate/internal/local/process"
)

//go:embed worker.mjs
var workerScript string

// errThrown is an error of the function's own. CloudFront answers 503 to it, as to those
// of package container.
var errThrown = errors.New("the function threw")

// maxResult bounds one line of a worker: what Lambda allows for a synchronous result.
const maxResult = 6 << 20

// worker is one Node process that has loaded one function: a Lambda container.
// It takes one invocation at a time.
type worker struct {
	process *process.Process
	events  *os.File      // descriptor 3 of the process
	answer  *os.File      // descriptor 4
	lines   *bufio.Reader // over answer
	kill    func()
}

var _ container.Container[invocation, json.RawMessage] = (*worker)(nil)

// invocation is one line to a worker.
type invocation struct {
	Event    edge.Event    `json:"event"`
	Context  lambdaContext `json:"context"`
	Deadline int64         `json:"deadline"` // milliseconds since 1970
}

type lambdaContext struct {
	AWSRequestID       string `json:"awsRequestId"`
	FunctionName       string `json:"functionName"`
	FunctionVersion    string `json:"functionVersion"`
	MemoryLimitInMB    string `json:"memoryLimitInMB"`
	InvokedFunctionARN string `json:"invokedFunctionArn"`
}

// startWorker starts a process, which gets env and nothing else of this
// process's.
func startWorker(node string, fn Function, env []string, log *slog.Logger) (*worker, error) {
	theirEvents, events, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirEvents.Close()
	answer, theirAnswer, err := os.Pipe()
	if err != nil {
		events.Close()
		return nil, err
	}
	defer theirAnswer.Close()
	w := &worker{events: events, answer: answer, lines: bufio.NewReader(answer)}
	cmd := exec.Command(node, append(heap(fn.MemoryMB), "--input-type=module", "--eval", workerScript, "--", fn.Handler)...)
	cmd.Dir, cmd.Env = fn.Directory, env
	cmd.ExtraFiles = []*os.File{theirEvents, theirAnswer}
	if w.process, err = process.Start(cmd, func(line string) { log.Info(line) }); err != nil {
		events.Close()
		answer.Close()
		return nil, fmt.Errorf("start %s: %w", node, err)
	}
	w.kill = sync.OnceFunc(func() {
		w.process.Kill()
		w.events.Close()
		w.answer.Close()
	})
	return w, nil
}

// heap are the limits that Lambda's own start script gives Node: a tenth of the
// memory setting for young objects, the rest for old ones.
func heap(memoryMB int) []string {
	young := memoryMB / 10
	return []string{
		"--max-semi-space-size=" + strconv.Itoa(young/2),
		"--max-old-space-size=" + strconv.Itoa(memoryMB-young),
	}
}

func (w *worker) Process() *process.Process { return w.process }
func (w *worker) Kill()                     { w.kill() }

func (w *worker) Ready(deadline time.Time) error {
	_, err := w.read(deadline)
	return err
}

func (w *worker) Invoke(in invocation, deadline time.Time) (json.RawMessage, error) {
	in.Deadline = deadline.UnixMilli()
	data, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	w.events.SetWriteDeadline(deadline)
	if _, err := w.events.Write(append(data, '\n')); errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, container.ErrTimeout
	} else if err != nil {
		// Half a line is no event: the process cannot have begun.
		return nil, fmt.Errorf("%w: %w", container.ErrNotGiven, err)
	}
	return w.read(deadline)
}

func (w *worker) read(deadline time.Time) (json.RawMessage, error) {
	w.answer.SetReadDeadline(deadline)
	var data []byte
	for {
		part, err := w.lines.ReadSlice('\n')
		data = append(data, part...)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, container.ErrTimeout
		case errors.Is(err, bufio.ErrBufferFull) && len(data) <= maxResult:
			continue
		case errors.Is(err, io.EOF):
			return nil, container.ErrExited
		case err != nil:
			return nil, fmt.Errorf("read the result of the function: %w", err)
		}
		break
	}
	var reply struct {
		Result json.RawMessage `json:"result"`
		Error  *string         `json:"error"`
	}
	if err := json.Unmarshal(data, &reply); err != nil {
		return nil, fmt.Errorf("the worker's answer is not JSON: %w", err)
	}
	if reply.Error != nil {
		return nil, fmt.Errorf("%w: %s", errThrown, *reply.Error)
	}
	return reply.Result, nil
}
