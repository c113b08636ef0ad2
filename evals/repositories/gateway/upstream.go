package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

type Profile struct {
	Name string `json:"name"`
	Team *Team  `json:"team"`
}

type Team struct {
	Label string `json:"label"`
}

type Upstream struct {
	url    string
	client *http.Client
}

func NewUpstream(url string, timeout time.Duration) *Upstream {
	return &Upstream{url: url, client: &http.Client{Timeout: timeout}}
}

func (u *Upstream) Profile(ctx context.Context, id string) (*Profile, error) {
	request, err := http.NewRequestWithContext(ctx, "GET", u.url+"/profiles/"+id, nil)
	if err != nil {
		return nil, err
	}
	answer, err := u.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("profiles answered %d", answer.StatusCode)
	}
	var profile Profile
	return &profile, json.NewDecoder(answer.Body).Decode(&profile)
}

func Badge(profile *Profile) string {
	if profile.Team == nil {
		return profile.Name
	}
	return profile.Name + " of " + profile.Team.Label
}
