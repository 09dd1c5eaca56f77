// franz-go. Answers commands on standard input; ../README.md describes them.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const big = 16 << 20 // size limits are raised to this for the 10 MiB messages

type header struct {
	name  string
	value []byte
}

// A header is written as the pair [name, value].
func (h *header) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &[]any{&h.name, &h.value})
}
func (h header) MarshalJSON() ([]byte, error) { return json.Marshal([]any{h.name, h.value}) }

// []byte travels as base64, null as null.
type record struct {
	Partition int32    `json:"partition"`
	Offset    int64    `json:"offset"`
	Timestamp *int64   `json:"timestamp"`
	Key       []byte   `json:"key"`
	Value     []byte   `json:"value"`
	Headers   []header `json:"headers"`
}

type command struct {
	Do, Topic, Codec, Group string
	Acks                    *int
	Idempotent              bool
	Records                 []record
	Partition               int32
	Partitions              int32
	Offset, Timestamp       int64
	Count                   int
	TimeoutMs               int `json:"timeout_ms"`
	Topics                  []string
	Name, Value             string
	Before                  int64
	memberCommand
}

type reply map[string]any

func client(options ...kgo.Opt) *kgo.Client {
	c, err := kgo.NewClient(append(options, kgo.SeedBrokers(os.Getenv("BOOTSTRAP")), kgo.AllowAutoTopicCreation(),
		kgo.FetchMaxBytes(big), kgo.FetchMaxPartitionBytes(big), kgo.UnknownTopicRetries(5))...)
	if err != nil {
		panic(err)
	}
	return c
}

var codecs = map[string]kgo.CompressionCodec{"": kgo.NoCompression(), "none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}

func produce(ctx context.Context, c command) (reply, error) {
	acks := kgo.AllISRAcks()
	if c.Acks != nil && *c.Acks == 0 {
		acks = kgo.NoAck()
	} else if c.Acks != nil && *c.Acks == 1 {
		acks = kgo.LeaderAck()
	}
	options := []kgo.Opt{kgo.ProducerBatchCompression(codecs[c.Codec]), kgo.RequiredAcks(acks), kgo.ProducerLinger(20 * time.Millisecond),
		kgo.ProducerBatchMaxBytes(big), kgo.BrokerMaxWriteBytes(2 * big), kgo.RecordPartitioner(kgo.ManualPartitioner())}
	if !c.Idempotent {
		options = append(options, kgo.DisableIdempotentWrite())
	}
	cl := client(options...)
	defer cl.Close()
	var records []*kgo.Record
	for _, r := range c.Records {
		out := &kgo.Record{Topic: c.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			out.Headers = append(out.Headers, kgo.RecordHeader{Key: h.name, Value: h.value})
		}
		if r.Timestamp != nil {
			out.Timestamp = time.UnixMilli(*r.Timestamp)
		}
		records = append(records, out)
	}
	results := cl.ProduceSync(ctx, records...)
	var offsets []int64
	for _, r := range records {
		offsets = append(offsets, r.Offset)
	}
	return reply{"offsets": offsets}, results.FirstErr()
}

func read(ctx context.Context, cl *kgo.Client, c command) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(c.TimeoutMs)*time.Millisecond)
	defer cancel()
	records := []record{}
	for len(records) < c.Count && ctx.Err() == nil {
		fetches := cl.PollRecords(ctx, c.Count-len(records))
		for _, e := range fetches.Errors() {
			if ctx.Err() == nil {
				return nil, e.Err
			}
		}
		fetches.EachRecord(func(r *kgo.Record) {
			stamp, headers := r.Timestamp.UnixMilli(), []header{}
			for _, h := range r.Headers {
				headers = append(headers, header{h.Key, h.Value})
			}
			records = append(records, record{r.Partition, r.Offset, &stamp, r.Key, r.Value, headers})
		})
	}
	return reply{"records": records}, nil
}

func consume(ctx context.Context, c command) (reply, error) {
	at := kgo.NewOffset().AtStart()
	if c.Offset >= 0 {
		at = kgo.NewOffset().At(c.Offset)
	}
	cl := client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{c.Topic: {c.Partition: at}}))
	defer cl.Close()
	return read(ctx, cl, c)
}

func group(ctx context.Context, c command) (reply, error) {
	cl := client(kgo.ConsumerGroup(c.Group), kgo.ConsumeTopics(c.Topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer cl.Close() // leaves the group
	r, err := read(ctx, cl, c)
	if err == nil {
		err = cl.CommitUncommittedOffsets(ctx)
	}
	return r, err
}

func offsetAt(ctx context.Context, c command) (reply, error) {
	adm := kadm.NewClient(client())
	defer adm.Close()
	list := adm.ListEndOffsets
	if c.Timestamp == -2 {
		list = adm.ListStartOffsets
	} else if c.Timestamp >= 0 {
		list = func(ctx context.Context, topics ...string) (kadm.ListedOffsets, error) {
			return adm.ListOffsetsAfterMilli(ctx, c.Timestamp, topics...)
		}
	}
	listed, err := list(ctx, c.Topic)
	if err != nil {
		return nil, err
	}
	found, _ := listed.Lookup(c.Topic, c.Partition)
	if c.Timestamp >= 0 && found.Timestamp < 0 { // kadm answers the end where no record is that late
		return reply{"offset": -1}, found.Err
	}
	return reply{"offset": found.Offset}, found.Err
}

func createTopics(ctx context.Context, c command) (reply, error) {
	adm := kadm.NewClient(client())
	defer adm.Close()
	made, err := adm.CreateTopics(ctx, c.Partitions, 1, nil, c.Topics...)
	if err == nil {
		err = made.Error()
	}
	return reply{}, err
}

func configs(ctx context.Context, c command) (reply, error) {
	adm := kadm.NewClient(client())
	defer adm.Close()
	described, err := adm.DescribeTopicConfigs(ctx, c.Topic)
	if err != nil {
		return nil, err
	}
	found, err := described.On(c.Topic, nil)
	values := map[string]string{}
	for _, entry := range found.Configs {
		values[entry.Key] = entry.MaybeValue()
	}
	return reply{"configs": values}, err
}

func alter(ctx context.Context, c command) (reply, error) {
	adm := kadm.NewClient(client())
	defer adm.Close()
	done, err := adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: c.Name, Value: &c.Value}}, c.Topic)
	if err == nil {
		_, err = done.On(c.Topic, func(r *kadm.AlterConfigsResponse) error { return r.Err })
	}
	return reply{}, err
}

func grow(ctx context.Context, c command) (reply, error) {
	adm := kadm.NewClient(client())
	defer adm.Close()
	done, err := adm.UpdatePartitions(ctx, int(c.Partitions), c.Topic)
	if err == nil {
		err = done.Error()
	}
	return reply{}, err
}

func deleteRecords(ctx context.Context, c command) (reply, error) {
	adm := kadm.NewClient(client())
	defer adm.Close()
	offsets := kadm.Offsets{}
	offsets.AddOffset(c.Topic, c.Partition, c.Before, -1)
	done, err := adm.DeleteRecords(ctx, offsets)
	if err == nil {
		err = done.Error()
	}
	return reply{}, err
}

func listTopics(ctx context.Context, c command) (reply, error) {
	adm := kadm.NewClient(client())
	defer adm.Close()
	topics, err := adm.ListTopics(ctx)
	names := topics.Names()
	sort.Strings(names)
	return reply{"topics": names}, err
}

var verbs = map[string]func(context.Context, command) (reply, error){"produce": produce, "consume": consume, "group": group,
	"offset_at": offsetAt, "create_topics": createTopics, "list_topics": listTopics, "configs": configs,
	"alter": alter, "grow": grow, "delete_records": deleteRecords, "join": join, "look": look,
	"commit": commit, "committed": committed, "pause": pause, "resume": resume, "seek": seek, "leave": leave}

func main() {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var c command
		if err := in.Decode(&c); err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		r, err := verbs[c.Do](ctx, c)
		cancel()
		if err != nil {
			r = reply{"error": fmt.Sprint(err)}
		}
		if err := out.Encode(r); err != nil {
			return
		}
	}
}
