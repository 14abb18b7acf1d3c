// Command faulty stands in for the Go program of the artifact and breaks in the
// way that the event's requestId names, so that tests can see what the Node
// handler makes of it. It is never part of an artifact.
package main

import (
	"os"
	"strings"
	"syscall/js"
	"time"
)

func main() {
	host := js.Global().Get("oncegate")
	host.Set("endpoint", map[string]any{"scheme": "http", "host": "127.0.0.1:1"})
	host.Set("received", js.FuncOf(func(js.Value, []js.Value) any { return nil }))
	host.Set("invoke", js.FuncOf(func(_ js.Value, args []js.Value) any {
		id, event := args[0].Int(), args[2].String()
		done := func(result string) { host.Call("done", id, result) }
		breaks := func(how string) bool { return strings.Contains(event, `"requestId":"`+how+`"`) }
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
		return nil
	}))
	host.Call("ready")
	select {}
}
