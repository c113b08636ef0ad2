package main

import (
	"log"
	"net/http"
	"os"
	"time"
)

func main() {
	upstream := NewUpstream(os.Getenv("PROFILES_URL"), 2*time.Second)
	limiter := NewLimiter(20)
	http.HandleFunc("/profiles/", func(w http.ResponseWriter, r *http.Request) {
		if !limiter.Allow(ClientOf(r)) {
			http.Error(w, "slow down", http.StatusTooManyRequests)
			return
		}
		profile, err := upstream.Profile(r.Context(), r.URL.Path[len("/profiles/"):])
		if err != nil {
			log.Printf("error: profile: %v", err)
			http.Error(w, "upstream", http.StatusBadGateway)
			return
		}
		w.Write([]byte(Badge(profile)))
	})
	http.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok")) })
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}
