package cloudfront

import (
	"fmt"
	"strconv"

	"oncegate/internal/local/process"
)

// heap are the limits that Lambda's own start script gives Node: a tenth of the
// memory setting for young objects, the rest for old ones.
func heap(memoryMB int) []string {
	young := memoryMB / 10
	return []string{
		"--max-semi-space-size=" + strconv.Itoa(young/2),
		"--max-old-space-size=" + strconv.Itoa(memoryMB-young),
	}
}

// checkMemory refuses a worker that ever had more resident memory than its function
// may have. Lambda would have killed it then; here that shows after the invocation.
//
// What else counts in Lambda's sandbox, its kernel and the rest of the runtime, is set
// against what this counts too much: some 50 MB of it are clean pages of the Node
// program, which a kernel takes back before it kills. AWS publishes neither figure.
func checkMemory(pid, memoryMB int) error {
	if peak, known := process.PeakMemoryMB(pid); known && peak > memoryMB {
		return fmt.Errorf("%w: its process had %d MB, the function has %d", errMemory, peak, memoryMB)
	}
	return nil
}
