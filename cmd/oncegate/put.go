package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"oncegate/internal/client"
	"oncegate/internal/onetime"
)

const putHelp = `oncegate put [flags] FILE...

Uploads files. For each file it asks the deployment for a URL; or it uploads one file
with a URL that you have. It prints what S3 stored, and verifies it.

A file up to 64 MiB goes in one PUT. The gate spends the URL before the body reaches S3.
So if the PUT breaks off, nothing is stored, and the file is uploaded again with a new
URL. A PUT is sent once. It is repeated only after the answer that nothing was spent. The
ETag must be the MD5 of what was sent. If the bucket's ETags are something else (KMS),
S3's CRC-64/NVME must be that of what was sent; without one it says "verified no" and why.

A larger file goes in parts. A part that breaks off is sent again, up to 8 times, and the
URL is spent only when all parts are there. S3 checks the MD5 of each part, the ETag must
be that of these parts, and S3's CRC-64/NVME of the whole, if it gives one, that of the
file.

After Ctrl-C, a crash or a reboot the same command goes on where it ended, while the URL
lives. Until then the URL is kept in the user's state directory, for the user alone to
read: $XDG_STATE_HOME/oncegate/uploads, or below ~/.local/state. A file that has changed
begins anew. With --url nothing is kept: give the same URL, here or on another machine.

    --url URL            upload one file with this URL; - reads it from standard input
    --distribution URL   the deployment to ask for URLs ($ONCEGATE_URL)
    --type TYPE          Content-Type (by the file's extension; none if unknown)
    --name NAME          file name kept with the object, '' for none (the file's own)
    --sha256             have S3 verify the SHA-256: reads the file twice; the
                         deployment needs the setting "sha256"
    --multipart          parts for small files too, but not for empty ones
    --no-multipart       one PUT for every file; it holds 5 GiB
    --part-size SIZE     of a part, such as 64MiB (8MiB, more if that makes over 1,000
                         parts); at most what the URL takes, 8MiB unless its maxBytes
                         is over 7.8 GiB
    --parallel N         parts that are sent at a time (4)
    --expires N          seconds that the URL lives (for parts a day or more, if the
                         deployment allows it)
    --label LABEL        note to the operator, kept in the index
    --prefix PREFIX      before the object's name, as far as the deployment allows it
    --meta PAIRS         metadata that S3 keeps with the object: order=17&customer=acme
    --tags PAIRS         tags of the object, as far as the deployment allows them
    --json               print one JSON object per file

The file - is standard input. It is sent in parts while it is read, and so many parts
are kept in memory: --parallel, and one. There are at most 1,000, so 8,000 MiB unless --part-size says
more. It has no name, and cannot be resumed. If what writes it breaks off, its end is
taken for the end of the file.

Files are uploaded one after the other. If one fails, the others are uploaded all the
same. A file must be a regular file; it may be empty. Where a deployment or a URL takes no
parts, files up to 5 GiB go in one PUT. On a terminal there is a progress bar, on standard
error.
` + deploymentHelp + `
Exit status: 0 all are stored, 1 some are not, 2 wrong usage, 3 the URL of --url was
no good: used, revoked, expired or unknown.

Example: oncegate put photo.jpg
`

// putJSON describes a stored file, as put prints it.
type putJSON struct {
	File     string     `json:"file"`
	ID       onetime.ID `json:"id"`
	Key      string     `json:"key"`
	Size     int64      `json:"size"`
	Version  string     `json:"version,omitempty"` // not known of parts
	Parts    int        `json:"parts,omitempty"`   // 0: it was one PUT
	ETag     string     `json:"etag"`
	SHA256   string     `json:"sha256,omitempty"`    // not known of parts
	CRC64    string     `json:"crc64nvme,omitempty"` // of parts, if S3 gave it
	Verified bool       `json:"verified"`
	Why      string     `json:"why,omitempty"` // why it is not verified
}

// putting is one run of put.
type putting struct {
	fs         *flag.FlagSet
	deployment *client.Deployment // nil with --url
	url        client.URL
	options    url.Values // for /url
	contentType,
	name *string
	sum, multipart, noMultipart bool
	partBytes                   sizeFlag
	parallel                    int
	stderr                      io.Writer
	bar                         *bar // of the file that is being sent; nil without a terminal
}

func runPut(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := newFlags("put")
	p := putting{fs: fs, options: url.Values{}, stderr: stderr}
	rawURL := fs.String("url", "", "")
	distribution := fs.String("distribution", "", "")
	p.contentType, p.name = fs.String("type", "", ""), fs.String("name", "", "")
	fs.BoolVar(&p.sum, "sha256", false, "")
	fs.BoolVar(&p.multipart, "multipart", false, "")
	fs.BoolVar(&p.noMultipart, "no-multipart", false, "")
	fs.Var(&p.partBytes, "part-size", "")
	fs.IntVar(&p.parallel, "parallel", 4, "")
	fs.String("expires", "", "")
	fs.String("label", "", "")
	fs.String("prefix", "", "")
	fs.String("meta", "", "")
	fs.String("tags", "", "")
	asJSON := fs.Bool("json", false, "")
	f := newDeploymentFlags(fs)
	files, err := parseWords(fs, args)
	if err != nil {
		return err
	}
	if err := p.check(files, *rawURL != ""); err != nil {
		return err
	}
	if *rawURL != "" {
		if *rawURL == "-" {
			if *rawURL, err = readSecret("-"); err != nil {
				return fmt.Errorf("--url: %w", err)
			}
		}
		if p.url, err = client.ParseURL(*rawURL); err != nil {
			return usagef(fs, "--url: %w; nothing was sent", err)
		}
	} else if p.deployment, _, err = f.open(*distribution); err != nil {
		return err
	}
	failed := 0
	for i, file := range files {
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted: %d of %d files were not tried", len(files)-i, len(files))
		}
		done, err := p.put(ctx, file)
		switch {
		case err != nil && len(files) == 1:
			return err
		case err != nil:
			fmt.Fprintf(stderr, "oncegate: %v\n", err)
			failed++
			continue
		case *asJSON:
			err = writeJSON(stdout, done)
		default:
			if i > failed {
				fmt.Fprintln(stdout)
			}
			_, err = io.WriteString(stdout, done.text())
		}
		if err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d files were not uploaded", failed, len(files))
	}
	return nil
}

// check refuses arguments that do not go together.
func (p *putting) check(files []string, withURL bool) error {
	var err error
	p.fs.Visit(func(f *flag.Flag) {
		forMint := mintOptions[f.Name] != "" && f.Name != "type" || f.Name == "distribution" || f.Name == "key-file" || f.Name == "token-file"
		if withURL && forMint {
			err = usagef(p.fs, "--%s is for making a URL, and --url has one", f.Name)
		}
		if slices.Contains([]string{"expires", "label", "prefix", "meta", "tags"}, f.Name) {
			p.options.Set(mintOptions[f.Name], f.Value.String())
		}
		if f.Name == "name" && len(files) > 1 {
			err = usagef(p.fs, "--name is for one file, not for %d", len(files))
		}
	})
	switch {
	case err != nil:
		return err
	case len(files) == 0:
		return usagef(p.fs, "no file given")
	case p.multipart && p.noMultipart:
		return usagef(p.fs, "--multipart and --no-multipart exclude each other")
	case p.multipart && p.sum:
		return usagef(p.fs, "S3 cannot check a SHA-256 over parts: --multipart and --sha256 exclude each other")
	case p.parallel < 1 || p.parallel > mostParallel:
		return usagef(p.fs, "--parallel: want 1 to %d", mostParallel)
	case p.partBytes != 0 && (p.partBytes < onetime.MinPartBytes || p.partBytes > onetime.MaxBytes):
		return usagef(p.fs, "--part-size: want 5MiB to 5GiB")
	case withURL && len(files) > 1:
		return usagef(p.fs, "%d files given, and --url is good for one", len(files))
	}
	piped, reads := 0, 0
	for _, file := range files {
		if file == "-" {
			piped++
		}
	}
	for _, name := range []string{"url", "key-file", "token-file"} {
		if p.fs.Lookup(name).Value.String() == "-" {
			reads++
		}
	}
	switch {
	case piped > 0 && (p.noMultipart || p.sum):
		return usagef(p.fs, "standard input goes in parts: one PUT, and a SHA-256, need all of it first, so save it to a file")
	case piped > 0 && piped+reads > 1:
		return usagef(p.fs, "standard input can be read once")
	}
	return nil
}

// put uploads one file. Its error names the file and says what became of the URL. Only
// with --url does the state of the URL decide the exit status.
func (p *putting) put(ctx context.Context, file string) (putJSON, error) {
	name := shown(file)
	p.bar = nil
	if file == "-" {
		return p.putStream(ctx, os.Stdin)
	}
	s, err := openSource(file)
	if err != nil {
		return putJSON{}, fmt.Errorf("%s: %w", name, err)
	}
	defer s.Close()
	parts, err := p.inParts(s.size())
	if err != nil {
		return putJSON{}, fmt.Errorf("%s: %w", name, err)
	}
	u := client.Upload{URL: p.url, Body: s, Size: s.size(), Header: map[string]string{}}
	if *p.contentType != "" {
		u.Header["Content-Type"] = *p.contentType
	} else if t := mime.TypeByExtension(filepath.Ext(file)); t != "" {
		u.Header["Content-Type"] = t
	}
	if screen, ok := terminal(p.stderr); ok {
		p.bar = newBar(screen, filepath.Base(file), s.size(), time.Now)
		u.Sent = p.bar.sent
		defer p.bar.clear()
	}
	var stored client.Stored
	var after string // what an error left behind
	if parts {
		stored, after, err = p.sendParts(ctx, file, s, &u)
	}
	if !parts || errors.Is(err, errOnePut) {
		stored, after, err = p.sendWhole(ctx, file, s, &u)
	}
	_, usage := errors.AsType[usageError](err)
	switch {
	case err != nil && (usage || p.deployment == nil):
		return putJSON{}, fmt.Errorf("%s: %w%s", name, err, after)
	case err != nil: // %v: the state of this URL is not the exit status
		return putJSON{}, fmt.Errorf("%s: %v%s", name, err, after)
	}
	return describe(file, u.URL, stored), nil
}

func describe(file string, u client.URL, stored client.Stored) putJSON {
	return putJSON{
		File: file, ID: u.ID, Key: u.Key, Size: stored.Size, Version: stored.Version, Parts: stored.Parts, ETag: stored.ETag,
		SHA256: stored.SHA256, CRC64: stored.CRC64NVME, Verified: stored.Unverified == "", Why: stored.Unverified,
	}
}

// sendWhole sends a file in one PUT.
func (p *putting) sendWhole(ctx context.Context, file string, s *source, u *client.Upload) (client.Stored, string, error) {
	if u.URL.URL == "" {
		options := p.optionsOf(filepath.Base(file))
		if s.size() == 0 {
			options.Set("minBytes", "0")
		}
		if p.sum {
			sum, err := s.sum(ctx)
			if err != nil {
				return client.Stored{}, "", err
			}
			options.Set("sha256", sum)
		}
		m, err := p.deployment.Mint(ctx, options)
		if err != nil {
			return client.Stored{}, "", refusedOptions(p.fs, err)
		}
		u.URL = m.URLs[0]
	}
	stored, err := client.Put(ctx, *u)
	return stored, consequence(err, u.URL, p.deployment == nil), err
}

// optionsOf are the options of the URL of a file with this name, unless another is given.
func (p *putting) optionsOf(name string) url.Values {
	options := maps.Clone(p.options)
	p.fs.Visit(func(f *flag.Flag) {
		if f.Name == "name" {
			name = *p.name
		}
	})
	if name != "" {
		options.Set("name", name)
	}
	return options
}

// consequence says what a failed upload left behind, and what to do. given means that the
// URL came with --url.
func consequence(err error, u client.URL, given bool) string {
	withNew := ""
	if given {
		withNew = ", with a new URL"
	}
	refusal, _ := errors.AsType[*client.Refusal](err)
	switch fate := client.FateOf(err); {
	case errors.Is(err, client.ErrAltered):
		return fmt.Sprintf("; do not trust %s, and put the file again%s", u.Key, withNew)
	case fate == client.Good && given:
		return "; nothing was stored and the URL is still good"
	case fate == client.Good:
		return "; nothing was stored"
	case fate == client.Spent:
		return "; nothing is stored, the URL is spent and nothing can be resumed: put the file again" + withNew
	case fate == client.Broken:
		return fmt.Sprintf("; nothing is stored, and the URL may be spent, oncegate status %s says; nothing can be resumed: put the file again%s", u.ID, withNew)
	case fate == client.Useless && refusal.Reason == onetime.Used:
		return fmt.Sprintf("; oncegate status %s says whether it is stored", u.ID)
	case fate == client.Useless && refusal.Reason == onetime.Unknown && given:
		return "; nothing was stored; if the URL was altered on the way it is still good: copy it again"
	case fate == client.Useless:
		return "; nothing was stored"
	}
	return fmt.Sprintf("; the file may be stored and the URL spent, oncegate status %s says; nothing can be resumed: put the file again%s", u.ID, withNew)
}

func (j putJSON) text() string {
	verified := "yes: S3's ETag is the MD5 of what was sent"
	switch {
	case !j.Verified:
		verified = "no: " + j.Why
	case j.CRC64 != "":
		verified = "yes: S3's CRC-64/NVME is that of what was sent"
	case j.Parts > 0:
		verified = "yes: S3's ETag is that of the parts, whose MD5s S3 has checked"
	}
	content := [][2]string{{"version", orDash(j.Version)}, {"sha256", j.SHA256}}
	if j.Parts > 0 {
		content = [][2]string{{"parts", fmt.Sprint(j.Parts)}, {"crc64", orDash(j.CRC64)}}
	}
	var b strings.Builder
	for _, line := range slices.Concat(
		[][2]string{{"file", j.File}, {"id", string(j.ID)}, {"object", j.Key}, {"size", fmt.Sprint(j.Size)}},
		content, [][2]string{{"etag", j.ETag}, {"verified", verified}},
	) {
		fmt.Fprintf(&b, "%-8s %s\n", line[0], shown(line[1]))
	}
	return b.String()
}
