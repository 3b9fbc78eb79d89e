// Who waits for what: proposals until they are applied here, reads until the leader has said how far they must wait.
package main

import (
	"math/rand/v2"
	"sync"
)

// waiting gives every request a number of its own, which is in the log or in a question to the leader.
type waiting struct {
	mutex sync.Mutex
	next  uint64
	told  map[uint64]chan uint64
}

// newWaiting begins at random, since numbers of lives before are in the log too; below the upper half, as dunlin's do.
func newWaiting() *waiting {
	return &waiting{next: rand.Uint64() >> 1, told: map[uint64]chan uint64{}}
}

// begin gives a number, what is told once about it, and what ends the waiting.
func (w *waiting) begin() (number uint64, told <-chan uint64, end func()) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.next++
	number = w.next
	channel := make(chan uint64, 1)
	w.told[number] = channel
	return number, channel, func() {
		w.mutex.Lock()
		defer w.mutex.Unlock()
		delete(w.told, number)
	}
}

func (w *waiting) tell(number, index uint64) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if told, ok := w.told[number]; ok {
		told <- index // It has room: nobody is told twice.
		delete(w.told, number)
	}
}
