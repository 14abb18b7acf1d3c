package testbed

import (
	"fmt"
	"testing"
)

// TestTableAssemblies: what the kept templates are made into is what package check wants of
// a deployment with the index in a table.
func TestTableAssemblies(t *testing.T) {
	for _, runtime := range []string{"edge", "regional"} {
		for _, more := range []map[string]any{
			{}, {"versioned": false}, {"auth": "api-key", "ownerApi": true}, {"acceptance": true}, {"page": false},
			{"acceptance": map[string]any{"webhook": map[string]any{"url": "https://hook.example.com/", "secret": "/oncegate/webhook"}}},
		} {
			settings := map[string]any{"bucket": "oncegate-test", "index": "dynamodb", "runtime": runtime}
			for name, value := range more {
				settings[name] = value
			}
			t.Run(fmt.Sprint(runtime, more), func(t *testing.T) { Assembly(t, settings, nil) })
		}
	}
}
