// Package history records what clients of one URL do at the same time through the whole
// chain, and has an independent tool judge the record: is there an order of the requests,
// each at one moment between its sending and its answer, in which every answer is right?
// The tool is porcupine, which knows nothing of oncegate but the model in model_test.go:
// https://github.com/anishathalye/porcupine
//
// It has only tests.
package history
