// Members of groups: what their handlers see is collected. ../README.md has the commands.
package main

import (
	"context"
	"fmt"
	"sort"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

type memberCommand struct {
	Member, How, Assignor, Instance string
	SessionMs                       int  `json:"session_ms"`
	AutoCommit                      bool `json:"auto_commit"`
	Asked                           []int32
}

// Implements sarama.ConsumerGroupHandler. A partition is held while its claim is served.
type watcher struct {
	lock      sync.Mutex
	topic     string
	group     string
	assigned  map[int32]bool
	records   []record
	events    [][]any
	problem   string
	session   sarama.ConsumerGroupSession
	seeks     map[int32]int64 // for the beginning of the next session: sarama cannot move a running claim
	restart   context.CancelFunc
	consumers sarama.ConsumerGroup
	stop      context.CancelFunc
	done      chan struct{}
}

var members = map[string]*watcher{}

var strategies = map[string]func() sarama.BalanceStrategy{"range": sarama.NewBalanceStrategyRange, "sticky": sarama.NewBalanceStrategySticky,
	"roundrobin": sarama.NewBalanceStrategyRoundRobin, "cooperative-sticky": sarama.NewBalanceStrategyCooperativeSticky}

func (w *watcher) Setup(session sarama.ConsumerGroupSession) error {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.session = session
	for p, offset := range w.seeks {
		session.ResetOffset(w.topic, p, offset, "")
	}
	w.seeks = map[int32]int64{}
	return nil
}

func (w *watcher) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (w *watcher) note(what string, partition int32) {
	w.lock.Lock()
	defer w.lock.Unlock()
	if what == "assigned" {
		w.assigned[partition] = true
	} else {
		delete(w.assigned, partition)
	}
	w.events = append(w.events, []any{what, []int32{partition}})
}

func (w *watcher) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	w.note("assigned", claim.Partition())
	defer w.note("revoked", claim.Partition())
	for message := range claim.Messages() {
		w.lock.Lock()
		w.records = append(w.records, answer(message))
		session.MarkMessage(message, "")
		w.lock.Unlock()
	}
	return nil
}

func join(c command) (reply, error) {
	cfg := config()
	cfg.Version = sarama.V3_6_0_0
	cfg.Consumer.Group.Session.Timeout = 20 * time.Second
	if c.SessionMs > 0 {
		cfg.Consumer.Group.Session.Timeout = time.Duration(c.SessionMs) * time.Millisecond
	}
	cfg.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
	cfg.Consumer.Group.Rebalance.Retry.Backoff = 500 * time.Millisecond
	cfg.Consumer.Retry.Backoff = 200 * time.Millisecond
	cfg.Consumer.Offsets.AutoCommit.Enable = c.AutoCommit
	cfg.Consumer.Offsets.AutoCommit.Interval = 200 * time.Millisecond
	cfg.Consumer.Group.InstanceId = c.Instance
	if c.Assignor != "" {
		cfg.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategies[c.Assignor]()}
	}
	consumers, err := sarama.NewConsumerGroup(brokers, c.Group, cfg)
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(context.Background())
	w := &watcher{topic: c.Topic, group: c.Group, assigned: map[int32]bool{}, records: []record{}, events: [][]any{},
		seeks: map[int32]int64{}, consumers: consumers, stop: stop, done: make(chan struct{})}
	members[c.Member] = w
	go func() {
		for range consumers.Errors() { // told, and retried by the loop below
		}
	}()
	go func() {
		defer close(w.done)
		for running.Err() == nil {
			session, cancel := context.WithCancel(running)
			w.lock.Lock()
			w.restart = cancel
			w.lock.Unlock()
			if err := consumers.Consume(session, []string{c.Topic}, w); err != nil && running.Err() == nil {
				w.lock.Lock()
				w.problem = fmt.Sprint(err)
				w.lock.Unlock()
				time.Sleep(200 * time.Millisecond)
			}
			cancel()
		}
	}()
	return reply{}, nil
}

func look(c command) (reply, error) {
	w := members[c.Member]
	w.lock.Lock()
	defer w.lock.Unlock()
	assigned := []int32{}
	for p := range w.assigned {
		assigned = append(assigned, p)
	}
	sort.Slice(assigned, func(i, j int) bool { return assigned[i] < assigned[j] })
	r := reply{"assigned": assigned, "records": w.records, "events": w.events}
	if w.problem != "" {
		r["problem"] = w.problem
	}
	w.records = []record{}
	return r, nil
}

func commit(c command) (reply, error) {
	members[c.Member].session.Commit()
	return reply{}, nil
}

func committed(c command) (reply, error) {
	w, cfg := members[c.Member], config()
	cfg.Metadata.Full = true
	admin, err := sarama.NewClusterAdmin(brokers, cfg)
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	found, err := admin.ListConsumerGroupOffsets(w.group, map[string][]int32{w.topic: c.Asked})
	if err != nil {
		return nil, err
	}
	offsets := map[string]any{}
	for _, p := range c.Asked {
		offsets[fmt.Sprint(p)] = nil
		if block := found.GetBlock(w.topic, p); block != nil && block.Offset >= 0 {
			offsets[fmt.Sprint(p)] = block.Offset
		}
	}
	return reply{"offsets": offsets}, nil
}

func pause(c command) (reply, error) {
	members[c.Member].consumers.Pause(map[string][]int32{members[c.Member].topic: {c.Partition}})
	return reply{}, nil
}

func resume(c command) (reply, error) {
	members[c.Member].consumers.Resume(map[string][]int32{members[c.Member].topic: {c.Partition}})
	return reply{}, nil
}

func seek(c command) (reply, error) {
	w := members[c.Member]
	w.lock.Lock()
	defer w.lock.Unlock()
	w.seeks[c.Partition] = c.Offset
	w.restart()
	return reply{}, nil
}

func leave(c command) (reply, error) {
	w := members[c.Member]
	delete(members, c.Member)
	w.stop()
	<-w.done
	return reply{}, w.consumers.Close()
}
