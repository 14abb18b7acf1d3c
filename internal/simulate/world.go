package simulate

import (
	"math/rand/v2"
	"time"
)

// world is one runtime with its containers.
type world struct {
	load    Load
	model   Model
	runtime Runtime
	rand    *rand.Rand
	pools   map[poolName]*pool
	usd     float64
}

// poolName is a function in a Region. Each has its own containers, so little traffic from
// many places finds them cold.
type poolName struct {
	regional bool
	job      job
	region   string
}

// invoke plays one viewer-request invocation. It returns how long it took and whether a
// container had to start for it.
func (w *world) invoke(c call) (waited time.Duration, cold bool) {
	region := w.load.Viewers[c.viewers].Region
	median, _ := RoundTrip(region, w.load.Bucket) // the load was checked
	trip := w.model.around(median)
	at := w.pool(poolName{false, c.job, region}).take(c.at, w.model)

	memory, compute := w.model.EdgeMemory, w.compute(c.job)
	waited = w.started(at.cold, w.model.EdgeStart, compute, memory)
	if !at.connected {
		waited += w.connect(trip)
	}
	if w.runtime == Edge {
		waited += w.requests(c.job, trip)
		cold = at.cold
	} else {
		there := trip.draw(w.rand) + w.model.Invoke.draw(w.rand)
		behind, started := w.behind(c.at+waited+there/2, c.job)
		waited += there + behind
		cold = at.cold || started
	}
	at.release(c.at + waited)
	w.usd += edgeInvocation + waited.Seconds()*float64(memory)/1024*edgeGigabyteSecond
	return waited, cold
}

// behind plays the regional function. Calls reach it slightly out of order, by less than a
// trip, which does not matter for containers that live for minutes.
func (w *world) behind(now time.Duration, job job) (took time.Duration, cold bool) {
	compute := w.model.RegionalMint
	if job == gateJob {
		compute = w.model.RegionalGate
	}
	median, _ := RoundTrip(w.load.Bucket, w.load.Bucket)
	trip := w.model.around(median)
	at := w.pool(poolName{true, job, w.load.Bucket}).take(now, w.model)
	took = w.started(at.cold, w.model.RegionalStart, compute, w.model.RegionalMemory)
	if !at.connected {
		took += w.connect(trip)
	}
	took += w.requests(job, trip)
	at.release(now + took)
	w.usd += lambdaInvocation + took.Seconds()*float64(w.model.RegionalMemory)/1024*lambdaGigabyteSecond
	return took, at.cold
}

func (w *world) compute(job job) Compute {
	switch {
	case w.runtime == Regional:
		return w.model.Stub
	case job == mintJob:
		return w.model.EdgeMint
	default:
		return w.model.EdgeGate
	}
}

// started returns the time until the handler runs and in it, without any request.
func (w *world) started(cold bool, start Spread, compute Compute, memory int) time.Duration {
	cpu, took := compute.Each, time.Duration(0)
	if cold {
		cpu, took = cpu+compute.First, start.draw(w.rand)
	}
	return took + wall(cpu, memory)
}

// connect takes one trip for TCP (RFC 9293) and one for TLS 1.3 (RFC 8446).
func (w *world) connect(trip Spread) time.Duration {
	return trip.draw(w.rand) + trip.draw(w.rand)
}

// requests plays the requests to the index. In the bucket the mint writes, and the gate reads
// twice at the same time, then writes. In a table each makes one write.
func (w *world) requests(job job, trip Spread) time.Duration {
	if w.load.InTable {
		return trip.draw(w.rand) + w.model.Table.draw(w.rand)
	}
	write := trip.draw(w.rand) + w.model.Write.draw(w.rand)
	if job == mintJob {
		return write
	}
	read := func() time.Duration { return trip.draw(w.rand) + w.model.Read.draw(w.rand) }
	return max(read(), read()) + write
}

func (w *world) pool(name poolName) *pool {
	if w.pools[name] == nil {
		w.pools[name] = &pool{}
	}
	return w.pools[name]
}

// pool is the containers of one function in one Region.
type pool struct{ containers []*container }

type container struct{ freeFrom time.Duration }

// taken is a container that is in use for one invocation.
type taken struct {
	*container
	cold, connected bool
}

// take returns the free container that was used last, as Lambda has been seen to do, or
// starts one.
func (p *pool) take(now time.Duration, model Model) taken {
	alive := p.containers[:0]
	var last *container
	for _, c := range p.containers {
		if c.freeFrom+model.KeepWarm < now {
			continue
		}
		alive = append(alive, c)
		if c.freeFrom <= now && (last == nil || c.freeFrom > last.freeFrom) {
			last = c
		}
	}
	p.containers = alive
	if last == nil {
		c := &container{}
		p.containers = append(p.containers, c)
		return taken{c, true, false}
	}
	return taken{last, false, last.freeFrom+model.KeepAlive >= now}
}

func (t taken) release(at time.Duration) { t.freeFrom = at }
