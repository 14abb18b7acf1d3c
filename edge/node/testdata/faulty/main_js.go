// Command faulty stands in for the Go program of the artifact and breaks in the
// way that the event's requestId names, so that tests can see what the Node
// handler makes of it. It is never part of an artifact.
package main

import (
	"os"
	"strings"
	"syscall/js"
	"time"
	"unsafe"
)

//go:wasmimport oncegate take
func hostTake(at unsafe.Pointer)

//go:wasmimport oncegate ready
func hostReady(endpoint, keysURL string)

//go:wasmimport oncegate done
func hostDone(id uint32, resultJSON string)

var begun = make(chan struct{})

//go:wasmexport begin
func begin() { close(begun) }

func main() {
	<-begun
	hostReady("http://127.0.0.1:1", "")
	select {}
}

//go:wasmexport received
func received(id uint32, status, length, bodyAt, stale int32) {}

//go:wasmexport invoke
func invoke(id uint32, length, remainingMs int32) {
	text := make([]byte, length)
	hostTake(unsafe.Pointer(unsafe.SliceData(text)))
	done := func(result string) { hostDone(id, result) }
	breaks := func(how string) bool { return strings.Contains(string(text), `"requestId":"`+how+`"`) }
	switch {
	case breaks("panic"):
		panic("on purpose")
	case breaks("panic-later"):
		// It ends while a timer of its own is pending, as the real program's
		// pause before a repeat would be.
		time.AfterFunc(60*time.Millisecond, func() {})
		js.Global().Call("setTimeout", js.FuncOf(func(js.Value, []js.Value) any { panic("on purpose") }), 10)
	case breaks("exit"):
		os.Exit(3)
	case breaks("exit-0"):
		os.Exit(0)
	case breaks("hang"):
	case breaks("garbage"):
		go done("{not json")
	case breaks("empty"):
		go done("")
	case breaks("neither"):
		go done("{}")
	case breaks("null"):
		go done("null")
	case breaks("no-query"):
		go done(`{"forward":{"querystring":""}}`)
	case breaks("twice"):
		go func() {
			done(`{"response":{"status":"403"}}`)
			done(`{"forward":{"querystring":"x"}}`)
		}()
	default:
		go done(`{"response":{"status":"204"}}`)
	}
}
