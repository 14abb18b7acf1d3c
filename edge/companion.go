package edge

import (
	"context"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"

	"oncegate/internal/lean/strictjson"
	"oncegate/internal/lean/urlquery"
	"oncegate/internal/onetime"
)

// Uppy's S3 plugin sends a file in parts by asking a server that it calls Companion:
// https://github.com/transloadit/uppy/tree/main/packages/%40uppy/aws-s3
// These are the requests that it makes, each of them one of multipart.go under another name.
// Nothing is kept between them: an upload's id there is its URL, from the path on, in
// base64url.

// companionPath is what Uppy adds to the address that a page gives it.
const companionPath = "/s3/"

// splitEndpoint takes a URL out of the address that a page has given Uppy, which is then
// /s3/<the URL in base64url>. It is for a deployment with credentials, which Uppy 6 does not
// send: whoever has one gives the page a URL.
func splitEndpoint(path string) (rest, uploadID string) {
	below, ok := strings.CutPrefix(path, companionPath)
	id, below, found := strings.Cut(below, companionPath)
	if !ok || !found || id == "" || strings.Contains(id, "/") {
		return path, ""
	}
	return companionPath + below, id
}

func uploadID(path, query string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(path + "?" + query))
}

// parseUploadID reads what uploadID writes. The error is a Refusal.
func (f *Functions) parseUploadID(s string) (onetime.URL, error) {
	text, err := base64.RawURLEncoding.Strict().DecodeString(s)
	path, query, ok := strings.Cut(string(text), "?")
	if err != nil || !ok {
		return onetime.URL{}, &onetime.Refusal{Reason: onetime.Unknown, Detail: "this uploadId was not issued here; use the one that the upload was created with"}
	}
	return onetime.ParseURL(path, query, f.Gate.Region)
}

// create mints a URL and answers with it as an upload. The upload is started with its first
// part, by the gate, for the mint has no rights on uploads.
func (f *Functions) create(ctx context.Context, c *call) (Result, error) {
	body, err := bodyObject(&c.request)
	if err != nil {
		return Result{}, err
	}
	var r eventReader
	var o orders
	o.Limits.Type, o.Name = mediaType(r.text(body, "type")), r.text(body, "filename")
	if r.wrong || strings.ContainsAny(o.Limits.Type, ",*") {
		return Result{}, refuseOption(errors.New("filename and type: want strings, and one MIME type such as image/jpeg"))
	}
	// Names of files may have what no option name may. The file is more than its name.
	if f.Minter.Check(onetime.Order{Name: o.Name}) != nil {
		o.Name = ""
	}
	urls, err := f.mintAndLog(ctx, c, o)
	if err != nil {
		return Result{}, err
	}
	return created(urls[0].Key, uploadID(urls[0].Path, urls[0].Query)), nil
}

// created is the answer to whoever has created an upload.
func created(key, id string) Result {
	return Result{Response: jsonAnswer(statusOK, func(w *strictjson.Writer) {
		w.String("key", key)
		w.String("uploadId", id)
	})}
}

// createOf starts the upload of the URL in the address, or finds the one under way.
func (f *Functions) createOf(ctx context.Context, c *call) (Result, error) {
	if c.endpoint == "" {
		return Result{}, &onetime.Refusal{Reason: onetime.Path}
	}
	url, err := f.parseUploadID(c.endpoint)
	if err == nil {
		_, err = f.startAndLog(ctx, c, c.withURL(url, onetime.OpStart))
	}
	if err != nil {
		return Result{}, err
	}
	return created(url.Key, c.endpoint), nil
}

// uploadOf reads uploadId and key of a request. more is what else its path names.
func (f *Functions) uploadOf(c *call) (url onetime.URL, more string, err error) {
	values := placeholders(c.route.path, c.request.URI)
	if url, err = f.parseUploadID(values[0]); err != nil {
		return url, "", err
	}
	query, err := urlquery.Parse(c.request.Querystring)
	if err != nil || len(query) != 1 || len(query["key"]) != 1 || query["key"][0] != url.Key {
		return url, "", &onetime.Refusal{Reason: onetime.Unknown, ID: url.ID, Detail: "send the key that belongs to the uploadId, as ?key= and nothing else"}
	}
	if c.endpoint != "" && c.endpoint != values[0] {
		return url, "", &onetime.Refusal{Reason: onetime.Unknown, ID: url.ID, Detail: "the URL in this address is another than that of the uploadId"}
	}
	return url, values[len(values)-1], nil
}

// withURL is the same request as it would be with the URL: without headers, for those of a
// request about an upload are not those of the file.
func (c *call) withURL(url onetime.URL, operation string) onetime.Put {
	put := c.put()
	put.Path, put.Query, put.Headers = "/"+url.Key, url.Query.String(), Headers{}
	if operation != "" {
		put.Query += "&" + operation
	}
	return put
}

// signPart answers with the address that a part goes to. It is good until complete.
func (f *Functions) signPart(ctx context.Context, c *call) (Result, error) {
	url, text, err := f.uploadOf(c)
	if err != nil {
		return Result{}, err
	}
	n := number(text)
	if err := (onetime.PartPlan{Count: onetime.MaxParts}).CheckNumber(n); err != nil {
		return Result{}, err // before any request to S3
	}
	started, err := f.startAndLog(ctx, c, c.withURL(url, onetime.OpStart))
	if err != nil {
		return Result{}, err
	}
	if err := started.Plan.CheckNumber(n); err != nil {
		return Result{}, err
	}
	return Result{Response: jsonAnswer(statusOK, func(w *strictjson.Writer) {
		w.String("url", f.Scheme+"://"+c.host+"/"+url.Key+"?"+url.Query.String()+"&"+onetime.OpPart+"="+strconv.FormatInt(n, 10))
	})}, nil
}

// maxPlainBytes is the largest list that goes out as it is. A function may answer with 40 KB,
// headers included: see listPage. Uppy does not ask for a second page, so a longer list, up to
// 80 KB, is compressed.
const maxPlainBytes = 36 << 10

// listUpload lists the parts. An upload that was created and has none is not started yet.
func (f *Functions) listUpload(ctx context.Context, c *call) (Result, error) {
	url, _, err := f.uploadOf(c)
	if err != nil {
		return Result{}, err
	}
	_, parts, err := f.Multipart.List(ctx, c.withURL(url, onetime.OpList), c.deadline)
	if err != nil && onetime.ReasonOf(err) != onetime.NotStarted {
		return Result{}, err
	}
	body := strictjson.MarshalArray(len(parts), func(w *strictjson.Writer, i int) {
		w.Int("PartNumber", int64(parts[i].Number))
		w.String("ETag", `"`+parts[i].ETag+`"`)
		w.Int("Size", parts[i].Size)
	})
	response := answer(statusOK, string(body))
	response.Headers.set("content-type", "application/json")
	if len(body) > maxPlainBytes {
		if !accepts(c.request.Headers, "accept-encoding", "gzip") {
			return Result{}, &onetime.Refusal{Reason: onetime.Header, ID: url.ID, Detail: "the list is too long for one answer; send accept-encoding: gzip, or GET with the URL and &parts"}
		}
		response.Headers.set("content-encoding", "gzip") // which the handler does
	}
	return Result{Response: response}, nil
}

// completeUpload completes the upload, if its parts are those of the body. CloudFront shows a
// function 40 KB of that, about 600 parts. Of a longer one it is not known what is missing, so
// the object is made of the parts that S3 has.
func (f *Functions) completeUpload(ctx context.Context, c *call) (Result, error) {
	url, _, err := f.uploadOf(c)
	if err != nil {
		return Result{}, err
	}
	operation := onetime.OpComplete
	if c.request.Body == nil || !c.request.Body.InputTruncated {
		etag, err := bodyETag(&c.request)
		if err != nil {
			return Result{}, err
		}
		operation += "&etag=" + etag
	}
	done, err := f.completeAndLog(ctx, c, c.withURL(url, operation))
	if err != nil {
		return Result{}, err
	}
	if !done.Stored {
		// Uppy would take 202 for the end.
		response := answer(statusServiceUnavailable, statusText(statusServiceUnavailable)+": the object is being made; send the same request again.")
		response.Headers.set("retry-after", retryAfter)
		return Result{Response: response}, nil
	}
	return Result{Response: jsonAnswer(statusOK, func(w *strictjson.Writer) {
		w.String("location", f.Scheme+"://"+c.host+"/"+done.Key)
		w.String("key", done.Key)
	})}, nil
}

// bodyETag is the ETag of the object that the body of a complete asks for. Uppy sends the
// ETags of parts without quotes, and those from a list with them.
func bodyETag(request *Request) (string, error) {
	body, err := bodyObject(request)
	if err != nil {
		return "", err
	}
	list := body.Get("parts")
	if list.Kind != strictjson.Array || len(list.Members) > onetime.MaxParts {
		return "", &onetime.Refusal{Reason: onetime.Incomplete, Detail: "parts: want an array of at most " + strconv.Itoa(onetime.MaxParts) + " objects with PartNumber and ETag"}
	}
	parts := make([]onetime.StoredPart, len(list.Members))
	for i, one := range list.Members {
		number, _ := one.Get("PartNumber").Int()
		etag, _ := one.Get("ETag").Text()
		parts[i] = onetime.StoredPart{Number: int(number), ETag: strings.Trim(etag, `"`)}
	}
	return onetime.ObjectETag(parts)
}

// abortUpload gives up.
func (f *Functions) abortUpload(ctx context.Context, c *call) (Result, error) {
	url, _, err := f.uploadOf(c)
	if err != nil {
		return Result{}, err
	}
	return f.giveUpAndLog(ctx, c, c.withURL(url, ""))
}

// companionParams answers what Uppy asks when it does not send a file in parts. What it does
// with the answer is a form, which no version of S3's PUT takes.
func (f *Functions) companionParams(context.Context, *call) (Result, error) {
	return Result{}, &onetime.Refusal{Reason: onetime.NoMultipart, Detail: "files go in parts here, all but empty ones: set shouldUseMultipart to true; for one PUT get a URL from /url and hand it to Uppy in signRequest, or in getUploadParameters before version 6"}
}
