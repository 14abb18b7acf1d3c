package acceptance_test

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Two calls at once, for the same or for different versions: every interleaving of
// their operations.
func TestTwoAtOnceInEveryOrder(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds; TestRandomRounds has some of these orders")
	}
	each(t, func(t *testing.T, w0 *world) {
		if w0.parts {
			t.Skip("too many orders: TestTwoCopiesInParts and TestRandomRounds have some")
		}
		rounds := 0
		// For one version where copies are conditional, for two where they are not:
		// each of the four takes seconds, and TestRandomRounds has them all.
		{
			two := !w0.conditional
			var turns []bool // which call goes next; the last false that can be true becomes so
			for {
				w := w0.another()
				w.coarse = true
				first := w.upload("content")
				hints := []string{first, first}
				if two {
					hints[1] = w.upload("another")
				}
				calls := []*call{w.start(hints[0], nil), w.start(hints[1], nil)}
				live := []bool{true, true}
				depth := 0
				for live[0] || live[1] {
					if depth == len(turns) {
						turns = append(turns, false)
					}
					i := 0
					if turns[depth] {
						i = 1
					}
					if !live[i] {
						turns[depth] = !turns[depth]
						i = 1 - i
						if i == 0 {
							break // was seen before
						}
					}
					depth++
					_, live[i] = calls[i].next()
				}
				for _, c := range calls {
					c.run()
					if c.err != nil || c.result.First != first {
						t.Fatalf("%v: %+v, %v", turns, c.result, c.err)
					}
				}
				w.want(first)
				rounds++
				if t.Failed() {
					t.Fatalf("turns %v\n%v", turns, w)
				}
				turns = turns[:min(depth, len(turns))]
				for len(turns) > 0 && turns[len(turns)-1] {
					turns = turns[:len(turns)-1]
				}
				if len(turns) == 0 {
					break
				}
				turns[len(turns)-1] = true
			}
		}
		t.Logf("%d rounds", rounds)
	})
}

// Up to three versions stored while the events of those before are followed, twice,
// shuffled, two at once, with crashes and faults, and somebody who consumes: until
// all deliveries have succeeded.
func TestRandomRounds(t *testing.T) {
	each(t, func(t *testing.T, w0 *world) {
		for seed := range uint64(500) {
			r := rand.New(rand.NewPCG(seed, 1))
			w := w0.another()
			var queue []string
			late := map[string]bool{}
			store := func() {
				v := w.upload([]string{"content", "another", "a third"}[len(w.objects[key])])
				for range 1 + r.IntN(4) {
					queue = slices.Insert(queue, r.IntN(len(queue)+1), v)
				}
			}
			store()
			first := w.objects[key][0].id
			uploads := r.IntN(3)
			crashes := 12
			type delivery struct {
				hint string
				*call
			}
			var running []delivery
			for len(queue) > 0 || len(running) > 0 || uploads > 0 {
				switch n := r.IntN(20); {
				case n == 0 && uploads > 0:
					uploads--
					store()
				case n == 1 && w.conditional && len(w.events) > 0:
					w.consume()
				case n == 2 && len(running) > 0 && crashes > 0:
					crashes--
					i := r.IntN(len(running))
					running[i].stop()
					queue = append(queue, running[i].hint)
					running = slices.Delete(running, i, i+1)
				case len(running) < 2 && len(queue) > 0:
					hint := queue[0]
					queue = queue[1:]
					running = append(running, delivery{hint, w.start(hint, func(string) fault {
						if crashes > 0 && r.IntN(20) == 0 {
							crashes--
							return fault(1 + r.IntN(2))
						}
						return none
					})})
				case len(running) > 0:
					i := r.IntN(len(running))
					if _, more := running[i].next(); more {
						continue
					}
					d := running[i]
					running = slices.Delete(running, i, i+1)
					if d.result.Late {
						late[d.hint] = true
					}
					if d.err != nil {
						queue = append(queue, d.hint)
					}
				}
			}
			w.want(first)
			for _, v := range w.objects[key] {
				if v.id != first && !late[v.id] {
					t.Errorf("version %s is late and was not reported", v.id)
				}
			}
			if t.Failed() {
				t.Fatalf("seed %d\n%v", seed, w)
			}
		}
	})
}

// A multipart upload can end with a place in the list before a version that was
// there already. Where copies are conditional, one of the two is accepted for ever.
func TestListsThatChange(t *testing.T) {
	w := newWorld(t, true)
	second := w.upload("content")
	c := w.start(second, nil)
	for op, _ := c.next(); op != "Copy"; op, _ = c.next() {
	}
	w.last++
	earlier := version{id: "mpu", content: "content", metadata: map[string]string{"of": "content"}, tags: map[string]string{"project": "content"}}
	w.objects[key] = append(w.objects[key], earlier)
	if r, err := w.deliver("mpu"); err != nil || r.First != "mpu" {
		t.Fatalf("%+v, %v", r, err)
	}
	c.run()
	if c.err == nil || c.result.First != "mpu" || !c.result.Late {
		t.Errorf("the other one: %+v, %v", c.result, c.err)
	}
	if r, err := w.deliver(second); err != nil || r.First != "mpu" || !r.Late {
		t.Errorf("and again: %+v, %v", r, err)
	}
	w.want("mpu")
}
