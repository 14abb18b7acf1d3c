package edge

import (
	"cmp"
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

// logLine begins a line about the call.
func (c *call) logLine(message string) *strictjson.Writer { return c.logLineAt(levelInfo, message) }

func (c *call) logLineAt(level, message string) *strictjson.Writer {
	var w strictjson.Writer
	w.Time("timestamp", time.Now().UTC())
	w.String("level", level)
	w.String("message", message)
	w.String("function", c.function)
	return &w
}

// log ends a line about the call and writes it.
func (f *Functions) log(c *call, line *strictjson.Writer) {
	line.StringIf("by", c.by.By())
	if c.invitation != "" {
		line.String("invitation", c.invitation.Short())
	}
	line.StringIf("request", c.requestID)
	f.Log(append(line.Bytes(), '\n'))
}

// logRefusal writes why a request was refused. It is the only place where the cause of
// a refusal goes; neither cause nor id holds anything that a URL could be made from.
func (f *Functions) logRefusal(c *call, reason onetime.Reason, err error) {
	level := levelInfo
	if row, _ := refusals.row(reason); row.status >= 500 {
		level = levelError
	}
	line := c.logLineAt(level, "refused")
	line.String("reason", string(reason))
	id, detail := c.id, ""
	if refusal, ok := errors.AsType[*onetime.Refusal](err); ok {
		err = refusal.Err
		id, detail = cmp.Or(refusal.ID, id), refusal.Detail
	}
	if id == "" && c.function == GateFunction && f.Gate != nil {
		url, _ := onetime.ParseURL(c.request.URI, c.request.Querystring, f.Gate.Region)
		id = url.ID
	}
	line.StringIf("id", string(id))
	line.StringIf("detail", detail)
	if err != nil {
		line.String("error", err.Error())
	}
	f.log(c, line)
}
