package edge

import (
	"context"
	"strconv"
	"strings"

	"oncegate/internal/lean/strictjson"
	"oncegate/internal/onetime"
)

// The other way to use a URL is S3's multipart upload. Its requests have the URL and one more
// parameter. Only parts are forwarded to S3; every other request is answered here.

// hasMultipart reports whether the settings allow multipart uploads.
func hasMultipart(f *Functions) bool { return f.Multipart != nil }

// put is the request as the domain takes it.
func (c *call) put() onetime.Put {
	return onetime.Put{
		Method:  c.request.Method,
		Path:    c.request.URI,
		Query:   c.request.Querystring,
		Headers: c.request.Headers,
		Request: c.requestID,
		Attempt: c.attempt,
	}
}

// post answers POST with a URL: it starts a multipart upload, or completes it.
func (f *Functions) post(ctx context.Context, c *call) (Result, error) {
	_, op, err := onetime.SplitOperation(c.request.Querystring)
	switch {
	case err != nil:
		return Result{}, err
	case op.Name == onetime.OpStart:
		return f.start(ctx, c)
	case op.Name == onetime.OpComplete:
		return f.complete(ctx, c)
	}
	return Result{}, otherOperation("POST takes &uploads, which starts a multipart upload, or &complete; a file goes with PUT")
}

// otherOperation refuses a method that does nothing without such a parameter.
func otherOperation(sentence string) error {
	return &onetime.Refusal{Reason: onetime.Method, Detail: sentence}
}

func (f *Functions) start(ctx context.Context, c *call) (Result, error) {
	started, err := f.startAndLog(ctx, c, c.put())
	if err != nil {
		return Result{}, err
	}
	text := strconv.FormatInt(started.Plan.Bytes, 10) + "\n" + strconv.Itoa(started.Plan.Count)
	return Result{Response: c.answer(statusOK, text, func(w *strictjson.Writer) {
		w.String("id", string(started.ID))
		w.Int("partBytes", started.Plan.Bytes)
		w.Int("maxParts", int64(started.Plan.Count))
		w.Int("maxBytes", started.MaxBytes)
		w.Time("expiresAt", started.Expires)
	})}, nil
}

func (f *Functions) startAndLog(ctx context.Context, c *call, put onetime.Put) (onetime.Started, error) {
	started, err := f.Multipart.Start(ctx, put, c.deadline)
	if err != nil {
		return onetime.Started{}, err
	}
	line := c.logLine("started")
	line.String("id", string(started.ID))
	f.log(c, line)
	return started, nil
}

// part forwards a part that may pass.
func (f *Functions) part(ctx context.Context, c *call) (Result, error) {
	pass, err := f.Multipart.Part(ctx, c.put(), c.deadline)
	if err != nil {
		return Result{}, err
	}
	line := c.logLine("part passed")
	line.String("id", string(pass.ID))
	f.log(c, line)
	return Result{Forward: c.forward(pass)}, nil
}

// listPage is how many parts are in one answer. A function may answer with 40 KB:
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html
const listPage = 400

// listParts answers GET with a URL and &parts.
func (f *Functions) listParts(ctx context.Context, c *call) (Result, error) {
	_, op, err := onetime.SplitOperation(c.request.Querystring)
	if err != nil {
		return Result{}, err
	}
	if op.Name != onetime.OpList {
		return Result{}, otherOperation("") // in the words of the table, for browsers and link previews
	}
	id, parts, err := f.Multipart.List(ctx, c.put(), c.deadline)
	if err != nil {
		return Result{}, err
	}
	next := 0
	for len(parts) > 0 && parts[0].Number <= op.After {
		parts = parts[1:]
	}
	if len(parts) > listPage {
		parts = parts[:listPage]
		next = parts[listPage-1].Number
	}
	lines := make([]string, len(parts))
	for i, p := range parts {
		lines[i] = strconv.Itoa(p.Number) + " " + strconv.FormatInt(p.Size, 10) + " " + p.ETag
	}
	return Result{Response: c.answer(statusOK, strings.Join(lines, "\n"), func(w *strictjson.Writer) {
		w.String("id", string(id))
		w.Objects("parts", len(parts), func(w *strictjson.Writer, i int) {
			w.Int("number", int64(parts[i].Number))
			w.Int("size", parts[i].Size)
			w.String("etag", parts[i].ETag)
		})
		w.IntIf("next", int64(next))
	})}, nil
}

// complete spends the URL and answers with the object that is stored.
func (f *Functions) complete(ctx context.Context, c *call) (Result, error) {
	done, err := f.completeAndLog(ctx, c, c.put())
	if err != nil {
		return Result{}, err
	}
	if !done.Stored {
		response := c.answer(statusAccepted, "Accepted: the object is being made; send the same request again.", func(w *strictjson.Writer) {
			w.String("id", string(done.ID))
			w.Bool("stored", false)
		})
		response.Headers.set("retry-after", retryAfter)
		return Result{Response: response}, nil
	}
	response := c.answer(statusOK, strconv.FormatInt(done.Size, 10)+"\n"+done.ETag, func(w *strictjson.Writer) {
		w.String("id", string(done.ID))
		w.Bool("stored", true)
		w.Int("size", done.Size)
		w.String("etag", done.ETag)
		w.StringIf("crc64nvme", done.CRC64NVME)
		w.Int("parts", int64(len(done.Parts)))
	})
	response.Headers.set("etag", `"`+done.ETag+`"`)
	return Result{Response: response}, nil
}

func (f *Functions) completeAndLog(ctx context.Context, c *call, put onetime.Put) (onetime.Completed, error) {
	done, err := f.Multipart.Complete(ctx, put, c.deadline)
	if err != nil {
		return onetime.Completed{}, err
	}
	message := "completed"
	if !done.Stored {
		message = "completing"
	}
	line := c.logLine(message)
	line.String("id", string(done.ID))
	line.String("key", done.Key)
	line.Int("parts", int64(len(done.Parts)))
	line.Int("size", done.Size)
	f.log(c, line)
	return done, nil
}

// giveUp answers DELETE with a URL: whoever holds it takes it back.
func (f *Functions) giveUp(ctx context.Context, c *call) (Result, error) {
	return f.giveUpAndLog(ctx, c, c.put())
}

func (f *Functions) giveUpAndLog(ctx context.Context, c *call, put onetime.Put) (Result, error) {
	id, err := f.Multipart.GiveUp(ctx, put, c.deadline)
	if err != nil {
		return Result{}, err
	}
	line := c.logLine("given up")
	line.String("id", string(id))
	f.log(c, line)
	return Result{Response: c.revoked(id)}, nil
}
