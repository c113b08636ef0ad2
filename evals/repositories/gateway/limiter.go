package main

import (
	"net/http"
	"strings"
	"sync"
	"time"
)

type Limiter struct {
	mu    sync.Mutex
	most  int
	since time.Time
	seen  map[string]int
}

func NewLimiter(most int) *Limiter {
	return &Limiter{most: most, since: time.Now(), seen: map[string]int{}}
}

func (l *Limiter) Allow(client string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.since) > time.Minute {
		l.since, l.seen = time.Now(), map[string]int{}
	}
	l.seen[client]++
	return l.seen[client] <= l.most
}

func ClientOf(r *http.Request) string {
	forwarded := strings.Split(r.Header.Get("X-Forwarded-For"), ",")
	return strings.TrimSpace(forwarded[0])
}
