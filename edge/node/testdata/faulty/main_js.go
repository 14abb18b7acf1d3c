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
func hostReady(endpoints, keysURL string)

//go:wasmimport oncegate done
func hostDone(id uint32, resultJSON string)

//go:wasmimport oncegate send
func hostSend(id, endpoint uint32, request, body string, limitMs int32)

//go:wasmimport oncegate setting
func hostSetting(name string) int32

var begun = make(chan struct{})

//go:wasmexport begin
func begin() { close(begun) }

func main() {
	<-begun
	endpoint := make([]byte, hostSetting("AWS_ENDPOINT_URL_S3"))
	hostTake(unsafe.Pointer(unsafe.SliceData(endpoint)))
	hostReady(string(endpoint), "")
	select {}
}

// told is what becomes of an outcome. It ends the invocation of this id a while after the
// first one, with how many there were.
var told struct {
	invocation uint32
	times      int
}

//go:wasmexport received
func received(id uint32, status, length, bodyAt, stale int32) {
	hostTake(unsafe.Pointer(unsafe.SliceData(make([]byte, length))))
	js.Global().Get("console").Call("error", "told of an outcome")
	if told.times++; told.times == 1 {
		time.AfterFunc(20*time.Millisecond, func() {
			hostDone(told.invocation, `{"response":{"status":"20`+string(rune('0'+told.times))+`"}}`)
		})
	}
}

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
	case breaks("trap"):
		hostTake(unsafe.Pointer(^uintptr(0))) // the handler throws: there is no such memory
	case breaks("hang"):
	case breaks("ask"):
		told.invocation = id
		hostSend(1, 0, "GET\n/x\nhost\nx", "", 60_000)
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
