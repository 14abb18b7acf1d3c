package edge

import (
	"errors"
	"time"

	"oncegate/internal/lean/strictjson"
	"oncegate/internal/onetime"
)

// Log takes one line of a function's log: a JSON object and a line end, with the names
// that Lambda's JSON format uses for time, level and message:
// https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html
type Log func(line []byte)

const (
	levelInfo  = "INFO"
	levelError = "ERROR"
)

// logLine begins a line.
func logLine(level, message string) *strictjson.Writer {
	var w strictjson.Writer
	w.Time("timestamp", time.Now().UTC())
	w.String("level", level)
	w.String("message", message)
	return &w
}

func (l Log) write(line *strictjson.Writer) { l(append(line.Bytes(), '\n')) }

// logRefusal writes why a request was refused. It is the only place where the cause of
// a refusal goes; neither cause nor id holds anything that a URL could be made from.
func (f *Functions) logRefusal(name string, event Event, reason onetime.Reason, err error) {
	level := levelInfo
	if refusals[reason].status >= 500 {
		level = levelError
	}
	line := logLine(level, "refused")
	line.String("function", name)
	line.String("reason", string(reason))
	if refusal, ok := errors.AsType[*onetime.Refusal](err); ok {
		err = refusal.Err
		line.StringIf("id", string(refusal.ID))
		line.StringIf("detail", refusal.Detail)
	}
	if err != nil {
		line.String("error", err.Error())
	}
	if len(event.Records) == 1 {
		line.String("request", event.Records[0].CF.Config.RequestID)
	}
	f.Log.write(line)
}
