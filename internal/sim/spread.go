package sim

import "time"

// spread is a value of IAM's that its replicas come to show one after the other. The control plane shows the last write.
type spread[T any] struct{ writes []write[T] }

type write[T any] struct {
	value T
	shown []time.Time // from when on each replica shows it; empty: from the start
}

// put writes a value and forgets those that no replica can show any more. The first one is everywhere at once.
func (s *spread[T]) put(w *World, value T) {
	var shown []time.Time
	if len(s.writes) > 0 && w.cfg.Lag != nil {
		for i := range w.cfg.Replicas {
			shown = append(shown, w.now.Add(w.cfg.Lag(i+1)))
		}
	}
	s.writes = append(s.writes, write[T]{value, shown})
	for i := len(s.writes) - 1; i > 0; i-- {
		if s.writes[i].everywhere(w.now) {
			s.writes = append(s.writes[:0:0], s.writes[i:]...)
			s.writes[0].shown = nil
			return
		}
	}
}

func (x write[T]) everywhere(now time.Time) bool {
	for _, at := range x.shown {
		if at.After(now) {
			return false
		}
	}
	return true
}

// at is what a replica shows, counted from 1; 0 is the control plane. A later write hides an earlier one that comes after it.
func (s *spread[T]) at(w *World, replica int) T {
	for i := len(s.writes) - 1; i > 0; i-- {
		x := s.writes[i]
		if replica == 0 || replica > len(x.shown) || !x.shown[replica-1].After(w.now) {
			return x.value
		}
	}
	return s.writes[0].value
}

// settle makes the last write show everywhere.
func (s *spread[T]) settle() {
	s.writes = append(s.writes[:0:0], s.writes[len(s.writes)-1:]...)
	s.writes[0].shown = nil
}
