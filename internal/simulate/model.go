package simulate

import (
	"math"
	"math/rand/v2"
	"time"
)

// Spread is a log-normal distribution of times: half of all draws are below P50, 99 of 100
// below P99.
type Spread struct{ P50, P99 time.Duration }

// z99 is the 99th percentile of the standard normal distribution.
const z99 = 2.3263

func (s Spread) draw(r *rand.Rand) time.Duration {
	sigma := math.Log(float64(s.P99)/float64(s.P50)) / z99
	return time.Duration(float64(s.P50) * math.Exp(sigma*r.NormFloat64()))
}

// around returns the spread of round trips with this median.
func (m Model) around(median time.Duration) Spread {
	return Spread{median, time.Duration(float64(median) * m.TripP99)}
}

// Compute is the CPU time of one invocation on a whole core, and the extra time of a
// container's first one.
type Compute struct{ Each, First time.Duration }

// Model is everything but the network's map. DefaultModel says where each figure comes
// from.
type Model struct {
	// TripP99 is the 99th percentile of a round trip, as a multiple of its median.
	TripP99 float64
	// Read and Write are S3's own times for a small object, without the network.
	Read, Write Spread
	// Table is DynamoDB's own time for one UpdateItem.
	Table Spread
	// Invoke is what Lambda's front end adds to a synchronous invocation.
	Invoke Spread
	// EdgeStart and RegionalStart are a container's start up to the handler.
	EdgeStart, RegionalStart Spread
	// EdgeMint and EdgeGate are the default runtime's functions. Stub is the regional
	// runtime's function at the edge, RegionalMint and RegionalGate those behind it.
	EdgeMint, EdgeGate, Stub, RegionalMint, RegionalGate Compute
	// EdgeMemory and RegionalMemory are the functions' memory in MB.
	EdgeMemory, RegionalMemory int
	// KeepWarm is how long Lambda keeps an idle container, KeepAlive how long an idle
	// connection survives.
	KeepWarm, KeepAlive time.Duration
	// Between is the time from a URL to its upload.
	Between Spread
}

// DefaultModel is what is known, or else assumed. Only the CPU times were measured, on a
// machine that is not Lambda's. Everything about AWS is as published or reported. The memory
// is that of the functions, in MB.
func DefaultModel(edgeMemory, regionalMemory int) Model {
	const ms = time.Millisecond
	return Model{
		TripP99: 1.15, // assumed: AWS's own network is seldom congested
		// The median of small requests is "tens of milliseconds", and an application
		// should expect 100 to 200:
		// https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html
		// https://docs.aws.amazon.com/whitepapers/latest/s3-optimizing-performance-best-practices/timeouts-and-retries-for-latency-sensitive-applications.html
		Read:  Spread{15 * ms, 120 * ms},
		Write: Spread{30 * ms, 200 * ms},
		// "Single-digit millisecond": https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Introduction.html
		Table:         Spread{6 * ms, 25 * ms},    // its tail is assumed
		Invoke:        Spread{8 * ms, 40 * ms},    // assumed
		EdgeStart:     Spread{250 * ms, 600 * ms}, // Node: 150 to 400 ms reported, and loading the wasm
		RegionalStart: Spread{100 * ms, 300 * ms}, // provided.al2023 with Go: 80 to 250 ms reported

		// make bench-regional
		EdgeMint:       Compute{700 * time.Microsecond, 17 * ms},
		EdgeGate:       Compute{1400 * time.Microsecond, 17 * ms},
		Stub:           Compute{500 * time.Microsecond, 6 * ms},
		RegionalMint:   Compute{800 * time.Microsecond, 5 * ms},
		RegionalGate:   Compute{1300 * time.Microsecond, 5 * ms},
		EdgeMemory:     edgeMemory,
		RegionalMemory: regionalMemory,

		KeepWarm:  10 * time.Minute, // reported: 5 to 15 minutes
		KeepAlive: 20 * time.Second, // assumed of S3's and Lambda's front ends
		Between:   Spread{2 * time.Second, 30 * time.Second},
	}
}

// fullCore is the memory in MB at which Lambda gives one whole core. Less memory gives
// proportionally less:
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
const fullCore = 1769

// wall returns how long computing takes with that much memory.
func wall(cpu time.Duration, memory int) time.Duration {
	return time.Duration(float64(cpu) * max(1, fullCore/float64(memory)))
}

// List prices of 2026 in USD, us-east-1; others differ by Region:
// https://aws.amazon.com/lambda/pricing/
const (
	edgeInvocation       = 0.60e-6
	edgeGigabyteSecond   = 0.00005001
	lambdaInvocation     = 0.20e-6
	lambdaGigabyteSecond = 0.0000133334 // arm64
)
