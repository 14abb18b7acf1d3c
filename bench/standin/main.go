// Command standin is the S3 server that the benchmark's candidates talk to. It runs in its
// own process, answers as slowly as it is told to, and counts requests.
//
// By default it keeps objects in memory and checks no signatures, so that its own work does
// not affect the measurement. With -versitygw it is a real S3 server that verifies every
// signature.
//
// It prints one line of JSON with its addresses (http, https, control) and ends when its
// standard input does. Only the stand-in has https, with a certificate that it writes to
// -cert. On the control address:
//
//	POST /reset?delay=50ms&fill=1000  empty the bucket, fill it with other URLs'
//	                                  entries, and delay each answer
//	GET  /counts                      what came since then: see type counts
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "standin:", err)
		os.Exit(1)
	}
}

func run() error {
	cert := flag.String("cert", "", "file for the certificate of https; empty means no https")
	versitygw := flag.String("versitygw", "", "path of versitygw, to run in place of the stand-in")
	dir := flag.String("dir", "", "data of versitygw")
	bucket := flag.String("bucket", "", "bucket of versitygw")
	flag.Parse()
	// A garbage collection may use both cores, and the candidate needs one: have few.
	debug.SetGCPercent(800)

	var s server
	var err error
	address := map[string]string{}
	if *versitygw != "" {
		s, err = startReal(*versitygw, *dir, *bucket)
	} else {
		s, err = startStandIn(*cert)
	}
	if err != nil {
		return err
	}
	defer s.close()
	address["http"], address["https"] = s.addresses()

	control := http.NewServeMux()
	control.HandleFunc("POST /reset", func(w http.ResponseWriter, r *http.Request) {
		delay, _ := time.ParseDuration(r.FormValue("delay"))
		fill, _ := strconv.Atoi(r.FormValue("fill"))
		if err := s.reset(delay, fill); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	control.HandleFunc("GET /counts", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(s.counts())
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go http.Serve(ln, control)
	address["control"] = "http://" + ln.Addr().String()
	if err := json.NewEncoder(os.Stdout).Encode(address); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// server answers on the addresses.
type server interface {
	addresses() (http, https string)
	reset(delay time.Duration, fill int) error
	counts() counts
	close()
}

// counts is what came in since the last reset.
type counts struct {
	// Requests are by method and folder, such as "PUT signatures/valid/", and those to the
	// table by operation.
	Requests map[string]int
	// Trips is how often a request came while no other was being answered. If the delay
	// is long compared with the client's own work, and there is one client at a time,
	// this is the number of round trips that had to wait for each other.
	Trips int
	// BytesIn and BytesOut are the bytes on the connections, those of TLS included.
	BytesIn, BytesOut int64
	Connections       int
}
