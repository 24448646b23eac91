// Quamina, asked in JSON lines: the requests are told in bench/engines/README.md.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"quamina.net/go/quamina/v2"
)

type request struct {
	Load  *string
	Rules *[]string
	Pass  *bool
}

var (
	events [][]byte
	engine *quamina.Quamina
	rules  int
)

func load(file string) (any, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	events = bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return map[string]int{"events": len(events)}, nil
}

func add(patterns []string) (any, error) {
	var err error
	if engine, err = quamina.New(); err != nil {
		return nil, err
	}
	rules = len(patterns)
	for rule, pattern := range patterns {
		if err := engine.AddPattern(rule, pattern); err != nil {
			return map[string]string{"refused": err.Error()}, nil
		}
	}
	return map[string]string{}, nil
}

func pass() (any, error) {
	hits := make([]int, rules)
	begun := time.Now()
	for _, event := range events {
		matches, err := engine.MatchesForEvent(event)
		if err != nil {
			return nil, err
		}
		for _, rule := range matches {
			hits[rule.(int)]++
		}
	}
	return map[string]any{"seconds": time.Since(begun).Seconds(), "hits": hits}, nil
}

func answer(line []byte) (any, error) {
	var asked request
	if err := json.Unmarshal(line, &asked); err != nil {
		return nil, err
	}
	switch {
	case asked.Load != nil:
		return load(*asked.Load)
	case asked.Rules != nil:
		return add(*asked.Rules)
	case asked.Pass != nil:
		return pass()
	}
	return nil, fmt.Errorf("not a request: %s", line)
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<26)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		given, err := answer(lines.Bytes())
		if err == nil {
			err = out.Encode(given)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
