package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"encoding/xml"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"oncegate/internal/layout"
)

// standIn answers GET, HEAD, PUT (also with If-None-Match: *), ListObjectVersions and
// CreateMultipartUpload of one bucket, path style, with the headers that S3 sends. It is a
// DynamoDB of one table as well: see newTable.
type standIn struct {
	plain, secure net.Listener

	mu       sync.Mutex // guards the rest
	delay    time.Duration
	objects  map[string][]version // oldest first
	last     int                  // version made last
	table    http.Handler
	underWay int
	count    counts
}

type version struct {
	id, etag, contentType string
	reason                string // x-amz-meta-oncegate-reason
	body                  []byte
	at                    time.Time
}

func startStandIn(cert string) (*standIn, error) {
	s := &standIn{}
	if err := s.reset(0, 0); err != nil {
		return nil, err
	}
	var err error
	if s.plain, err = s.listen(); err != nil {
		return nil, err
	}
	go http.Serve(s.plain, s)
	if cert == "" {
		return s, nil
	}
	pair, err := selfSigned(cert)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	if s.secure, err = s.listen(); err != nil {
		return nil, err
	}
	server := &http.Server{Handler: s, TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}}}
	go server.ServeTLS(s.secure, "", "")
	return s, nil
}

func (s *standIn) addresses() (string, string) {
	plain, secure := "http://"+s.plain.Addr().String(), ""
	if s.secure != nil {
		secure = "https://" + s.secure.Addr().String()
	}
	return plain, secure
}

func (s *standIn) close() {}

func (s *standIn) reset(delay time.Duration, fill int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay, s.count = delay, counts{Requests: map[string]int{}}
	s.objects = make(map[string][]version, fill)
	var err error
	if s.table, err = newTable(); err != nil {
		return err
	}
	for i := range fill {
		key := fillerKey(i)
		s.objects[key] = []version{{id: "filler", etag: `"0"`, body: []byte("{}"), at: time.Now()}}
	}
	return nil
}

// fillerKey returns the i-th key of a filled index: the valid entry of a URL, then the
// expired entry of the same URL.
func fillerKey(i int) string {
	sum := sha256.Sum256([]byte(strconv.Itoa(i / 2)))
	return []string{layout.ValidEntries, layout.ExpiredEntries}[i%2] + hex.EncodeToString(sum[:])
}

func (s *standIn) counts() counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.count
	c.Requests = map[string]int{}
	for name, n := range s.count.Requests {
		c.Requests[name] = n
	}
	return c
}

// ServeHTTP answers one request. All effects happen at the end of the delay.
func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	list := r.URL.Query().Has("versions")
	operation := tableOperation(r)
	s.mu.Lock()
	if s.underWay == 0 {
		s.count.Trips++
	}
	s.underWay++
	name := r.Method + " " + key[:strings.LastIndexByte(key, '/')+1]
	switch {
	case list:
		name = "LIST"
	case operation != "":
		name = operation
	}
	s.count.Requests[name]++
	delay := s.delay
	s.mu.Unlock()

	time.Sleep(delay)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.underWay--
	if operation != "" {
		answerTable(w, r, s.table, body)
		return
	}
	h := w.Header()
	h.Set("Server", "AmazonS3")
	h.Set("x-amz-request-id", "TX234S0F24A06C7B")
	h.Set("x-amz-id-2", "VwwoXjoYHoYHSPEAT0cQUGJz8YlmXZ5bG4Oa/4Dr0vDwPYhIzcGLe9HcHDoMvPkS5bRGNvjFZFo=")
	h["Content-Type"] = nil
	switch {
	case list:
		s.list(w, r.URL.Query().Get("prefix"))
	case r.Method == http.MethodPost:
		s.create(w, key)
	case r.Method == http.MethodPut:
		s.put(w, r, key, body)
	default:
		s.get(w, r, key)
	}
}

func (s *standIn) put(w http.ResponseWriter, r *http.Request, key string, body []byte) {
	if len(s.objects[key]) > 0 && r.Header.Get("If-None-Match") == "*" {
		fail(w, r, http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
		return
	}
	s.last++
	sum := md5.Sum(body)
	v := version{
		id:          fmt.Sprintf("%032d", s.last),
		etag:        `"` + hex.EncodeToString(sum[:]) + `"`,
		contentType: r.Header.Get("Content-Type"),
		reason:      r.Header.Get("X-Amz-Meta-Oncegate-Reason"),
		body:        body,
		at:          time.Now(),
	}
	s.objects[key] = append(s.objects[key], v)
	h := w.Header()
	h.Set("x-amz-version-id", v.id)
	h.Set("x-amz-server-side-encryption", "AES256")
	h.Set("ETag", v.etag)
	w.WriteHeader(http.StatusOK)
}

// create starts a multipart upload, of which nobody sends a part here.
func (s *standIn) create(w http.ResponseWriter, key string) {
	s.last++
	w.Header().Set("Content-Type", "application/xml")
	fmt.Fprintf(w, `%s<InitiateMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>bucket</Bucket><Key>%s</Key><UploadId>VXBsb2FkIElE%020d</UploadId></InitiateMultipartUploadResult>`, xml.Header, key, s.last)
}

func (s *standIn) get(w http.ResponseWriter, r *http.Request, key string) {
	versions := s.objects[key]
	if len(versions) == 0 {
		fail(w, r, http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
		return
	}
	v := versions[len(versions)-1]
	h := w.Header()
	h.Set("Last-Modified", v.at.UTC().Format(http.TimeFormat))
	h.Set("ETag", v.etag)
	h.Set("x-amz-server-side-encryption", "AES256")
	h.Set("x-amz-version-id", v.id)
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Type", v.contentType)
	h.Set("Content-Length", strconv.Itoa(len(v.body)))
	if v.reason != "" {
		h.Set("x-amz-meta-oncegate-reason", v.reason)
	}
	if r.Method == http.MethodGet {
		w.Write(v.body)
	}
}

// fail sets the length of the answer even for a HEAD, which has no body. S3 marks such
// answers as chunked, which net/http does not allow. With neither, Node would take the
// connection to end with the answer, and open another one.
func fail(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	text := fmt.Sprintf("%s<Error><Code>%s</Code><Message>%s</Message><RequestId>TX234S0F24A06C7B</RequestId></Error>", xml.Header, code, message)
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		io.WriteString(w, text)
	}
}

// list takes the prefix for a whole key, because it always is one here.
func (s *standIn) list(w http.ResponseWriter, prefix string) {
	w.Header().Set("Content-Type", "application/xml")
	fmt.Fprintf(w, `%s<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name><Prefix>%s</Prefix><KeyMarker></KeyMarker><VersionIdMarker></VersionIdMarker><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>`, xml.Header, prefix)
	versions := s.objects[prefix]
	for i := len(versions) - 1; i >= 0; i-- {
		v := versions[i]
		fmt.Fprintf(w, `<Version><Key>%s</Key><VersionId>%s</VersionId><IsLatest>%t</IsLatest><LastModified>%s</LastModified><ETag>%s</ETag><Size>%d</Size><Owner><ID>75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a</ID></Owner><StorageClass>STANDARD</StorageClass></Version>`,
			prefix, v.id, i == len(versions)-1, v.at.UTC().Format("2006-01-02T15:04:05.000Z"), strings.ReplaceAll(v.etag, `"`, "&quot;"), len(v.body))
	}
	io.WriteString(w, "</ListVersionsResult>")
}

// listen opens a listener that counts the bytes of its connections.
func (s *standIn) listen() (net.Listener, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	return countingListener{ln, s}, err
}

type countingListener struct {
	net.Listener
	s *standIn
}

func (l countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.s.mu.Lock()
	l.s.count.Connections++
	l.s.mu.Unlock()
	return countingConn{conn, l.s}, nil
}

type countingConn struct {
	net.Conn
	s *standIn
}

func (c countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.s.mu.Lock()
	c.s.count.BytesIn += int64(n)
	c.s.mu.Unlock()
	return n, err
}

func (c countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.s.mu.Lock()
	c.s.count.BytesOut += int64(n)
	c.s.mu.Unlock()
	return n, err
}

// selfSigned makes a certificate for 127.0.0.1 that is good for a day. It writes it to file,
// so that clients can trust it.
func selfSigned(file string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(file, block, 0o600); err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
