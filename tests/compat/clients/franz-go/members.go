// Members of groups: franz-go drives them by itself, here they are polled and watched. ../README.md has the commands.
package main

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

type memberCommand struct {
	Member, How, Assignor, Instance, Protocol string
	SessionMs                                 int  `json:"session_ms"`
	AutoCommit                                bool `json:"auto_commit"`
	Asked                                     []int32
}

type member struct {
	lock     sync.Mutex
	topic    string
	group    string
	assigned map[int32]bool
	records  []record
	events   [][]any
	problem  string
	client   *kgo.Client
	stop     context.CancelFunc
	done     chan struct{}
}

var members = map[string]*member{}

var balancers = map[string]kgo.GroupBalancer{"range": kgo.RangeBalancer(), "roundrobin": kgo.RoundRobinBalancer(),
	"sticky": kgo.StickyBalancer(), "cooperative-sticky": kgo.CooperativeStickyBalancer(), "uniform": kgo.StickyBalancer()}

// Notes what a rebalance gave or took.
func (m *member) noting(what string, given bool) func(context.Context, *kgo.Client, map[string][]int32) {
	return func(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
		m.lock.Lock()
		defer m.lock.Unlock()
		partitions := []int32{}
		for _, numbers := range topics {
			partitions = append(partitions, numbers...)
		}
		for _, p := range partitions {
			if given {
				m.assigned[p] = true
			} else {
				delete(m.assigned, p)
			}
		}
		m.events = append(m.events, []any{what, partitions})
	}
}

func join(ctx context.Context, c command) (reply, error) {
	m := &member{topic: c.Topic, group: c.Group, assigned: map[int32]bool{}, records: []record{}, events: [][]any{}, done: make(chan struct{})}
	session := 20000
	if c.SessionMs > 0 {
		session = c.SessionMs
	}
	options := []kgo.Opt{kgo.ConsumerGroup(c.Group), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SessionTimeout(time.Duration(session) * time.Millisecond), kgo.HeartbeatInterval(300 * time.Millisecond),
		kgo.FetchMaxWait(100 * time.Millisecond), kgo.OnPartitionsAssigned(m.noting("assigned", true)),
		kgo.OnPartitionsRevoked(m.noting("revoked", false)), kgo.OnPartitionsLost(m.noting("lost", false))}
	if strings.HasPrefix(c.Topic, "^") {
		options = append(options, kgo.ConsumeTopics(c.Topic), kgo.ConsumeRegex())
	} else {
		options = append(options, kgo.ConsumeTopics(c.Topic))
	}
	if c.AutoCommit {
		options = append(options, kgo.AutoCommitInterval(200*time.Millisecond))
	} else {
		options = append(options, kgo.DisableAutoCommit())
	}
	if c.Instance != "" {
		options = append(options, kgo.InstanceID(c.Instance))
	}
	if c.Protocol == "consumer" {
		options = append(options, kgo.ServerSideBalancer())
		if c.Assignor == "" {
			c.Assignor = "uniform"
		}
	}
	if c.Assignor != "" {
		options = append(options, kgo.Balancers(balancers[c.Assignor]))
	}
	m.client = client(options...)
	members[c.Member] = m
	polling, stop := context.WithCancel(context.Background())
	m.stop = stop
	go func() {
		defer close(m.done)
		for polling.Err() == nil {
			fetches := m.client.PollFetches(polling)
			m.lock.Lock()
			for _, e := range fetches.Errors() {
				if polling.Err() == nil {
					m.problem = fmt.Sprint(e.Err)
				}
			}
			fetches.EachRecord(func(r *kgo.Record) {
				stamp := r.Timestamp.UnixMilli()
				m.records = append(m.records, record{r.Partition, r.Offset, &stamp, r.Key, r.Value, []header{}})
			})
			m.lock.Unlock()
		}
	}()
	return reply{}, nil
}

func look(ctx context.Context, c command) (reply, error) {
	m := members[c.Member]
	m.lock.Lock()
	defer m.lock.Unlock()
	assigned := []int32{}
	for p := range m.assigned {
		assigned = append(assigned, p)
	}
	sort.Slice(assigned, func(i, j int) bool { return assigned[i] < assigned[j] })
	r := reply{"assigned": assigned, "records": m.records, "events": m.events}
	if m.problem != "" {
		r["problem"] = m.problem
	}
	m.records = []record{}
	return r, nil
}

func commit(ctx context.Context, c command) (reply, error) {
	m := members[c.Member]
	if c.How != "async" {
		return reply{}, m.client.CommitUncommittedOffsets(ctx)
	}
	done := make(chan error, 1)
	m.client.CommitOffsets(ctx, m.client.UncommittedOffsets(),
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, _ *kmsg.OffsetCommitResponse, err error) { done <- err })
	return reply{}, <-done
}

func committed(ctx context.Context, c command) (reply, error) {
	m := members[c.Member]
	found, err := kadm.NewClient(m.client).FetchOffsets(ctx, m.group)
	offsets := map[string]any{}
	for _, p := range c.Asked {
		offsets[fmt.Sprint(p)] = nil
		if at, ok := found.Lookup(m.topic, p); ok && at.At >= 0 {
			offsets[fmt.Sprint(p)] = at.At
		}
	}
	return reply{"offsets": offsets}, err
}

func pause(ctx context.Context, c command) (reply, error) {
	m := members[c.Member]
	m.client.PauseFetchPartitions(map[string][]int32{m.topic: {c.Partition}})
	return reply{}, nil
}

func resume(ctx context.Context, c command) (reply, error) {
	m := members[c.Member]
	m.client.ResumeFetchPartitions(map[string][]int32{m.topic: {c.Partition}})
	return reply{}, nil
}

func seek(ctx context.Context, c command) (reply, error) {
	m := members[c.Member]
	m.client.SetOffsets(map[string]map[int32]kgo.EpochOffset{m.topic: {c.Partition: {Epoch: -1, Offset: c.Offset}}})
	return reply{}, nil
}

func leave(ctx context.Context, c command) (reply, error) {
	m := members[c.Member]
	delete(members, c.Member)
	m.stop()
	<-m.done
	m.client.Close() // leaves the group, unless it is a static member
	return reply{}, nil
}
