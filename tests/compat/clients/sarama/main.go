// sarama. Answers commands on standard input; ../README.md describes them.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/IBM/sarama"
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

var brokers = []string{os.Getenv("BOOTSTRAP")}

var codecs = map[string]sarama.CompressionCodec{"": sarama.CompressionNone, "none": sarama.CompressionNone,
	"gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy, "lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD}

func config() *sarama.Config {
	c := sarama.NewConfig() // its default protocol level, 2.8.0
	c.Metadata.Retry.Max = 5
	c.Metadata.Full = false
	c.Consumer.Fetch.Default = big
	c.Consumer.Return.Errors = true
	c.Consumer.MaxWaitTime = 100 * time.Millisecond
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Offsets.AutoCommit.Enable = false
	return c
}

// What SyncProducer cannot say of a null from an empty value: an Encoder that is not nil but has no bytes is empty.
func encoder(data []byte) sarama.Encoder {
	if data == nil {
		return nil
	}
	return sarama.ByteEncoder(data)
}

func produce(c command) (reply, error) {
	cfg := config()
	cfg.Producer.Compression = codecs[c.Codec]
	cfg.Producer.MaxMessageBytes = big
	cfg.Producer.Return.Successes = true
	cfg.Producer.Partitioner = sarama.NewManualPartitioner
	cfg.Producer.Flush.Frequency = 20 * time.Millisecond
	cfg.Producer.RequiredAcks = sarama.WaitForAll
	if c.Acks != nil {
		cfg.Producer.RequiredAcks = sarama.RequiredAcks(*c.Acks)
	}
	if c.Idempotent {
		cfg.Producer.Idempotent = true
		cfg.Net.MaxOpenRequests = 1
	}
	producer, err := sarama.NewSyncProducer(brokers, cfg)
	if err != nil {
		return nil, err
	}
	defer producer.Close()
	var messages []*sarama.ProducerMessage
	for _, r := range c.Records {
		m := &sarama.ProducerMessage{Topic: c.Topic, Partition: r.Partition, Key: encoder(r.Key), Value: encoder(r.Value)}
		for _, h := range r.Headers {
			m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(h.name), Value: h.value})
		}
		if r.Timestamp != nil {
			m.Timestamp = time.UnixMilli(*r.Timestamp)
		}
		messages = append(messages, m)
	}
	err = producer.SendMessages(messages)
	if errors, ok := err.(sarama.ProducerErrors); ok && len(errors) > 0 {
		err = errors[0].Err
	}
	offsets := []int64{}
	for _, m := range messages {
		offsets = append(offsets, m.Offset)
	}
	return reply{"offsets": offsets}, err
}

func answer(m *sarama.ConsumerMessage) record {
	stamp, headers := m.Timestamp.UnixMilli(), []header{}
	for _, h := range m.Headers {
		headers = append(headers, header{string(h.Key), h.Value})
	}
	return record{m.Partition, m.Offset, &stamp, m.Key, m.Value, headers}
}

func consume(c command) (reply, error) {
	consumer, err := sarama.NewConsumer(brokers, config())
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	at := c.Offset
	if at < 0 {
		at = sarama.OffsetOldest
	}
	partition, err := consumer.ConsumePartition(c.Topic, c.Partition, at)
	if err != nil {
		return nil, err
	}
	defer partition.Close()
	records, timeout := []record{}, time.After(time.Duration(c.TimeoutMs)*time.Millisecond)
	for len(records) < c.Count {
		select {
		case m := <-partition.Messages():
			records = append(records, answer(m))
		case e := <-partition.Errors():
			return nil, e
		case <-timeout:
			return reply{"records": records}, nil
		}
	}
	return reply{"records": records}, nil
}

// A group member that takes `count` records of one partition, commits, and stops.
type member struct {
	count   int
	records []record
	done    context.CancelFunc
}

func (m *member) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (m *member) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			m.records = append(m.records, answer(message))
			session.MarkMessage(message, "")
			if len(m.records) == m.count {
				session.Commit()
				m.done()
				return nil
			}
		case <-session.Context().Done():
			return nil
		}
	}
}

func group(c command) (reply, error) {
	g, err := sarama.NewConsumerGroup(brokers, c.Group, config())
	if err != nil {
		return nil, err
	}
	defer g.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(c.TimeoutMs)*time.Millisecond)
	defer cancel()
	m := &member{count: c.Count, records: []record{}, done: cancel}
	for ctx.Err() == nil {
		if err = g.Consume(ctx, []string{c.Topic}, m); err != nil {
			return nil, err
		}
	}
	return reply{"records": m.records}, nil
}

func offsetAt(c command) (reply, error) {
	client, err := sarama.NewClient(brokers, config())
	if err != nil {
		return nil, err
	}
	defer client.Close()
	offset, err := client.GetOffset(c.Topic, c.Partition, c.Timestamp)
	return reply{"offset": offset}, err
}

func createTopics(c command) (reply, error) {
	cfg := config()
	cfg.Metadata.Full = true
	admin, err := sarama.NewClusterAdmin(brokers, cfg)
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	for _, name := range c.Topics {
		if err := admin.CreateTopic(name, &sarama.TopicDetail{NumPartitions: c.Partitions, ReplicationFactor: 1}, false); err != nil {
			return nil, err
		}
	}
	return reply{}, nil
}

func administer(action func(sarama.ClusterAdmin) error) (reply, error) {
	cfg := config()
	cfg.Metadata.Full = true
	admin, err := sarama.NewClusterAdmin(brokers, cfg)
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	return reply{}, action(admin)
}

func configs(c command) (reply, error) {
	values := map[string]string{}
	_, err := administer(func(admin sarama.ClusterAdmin) error {
		entries, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: c.Topic})
		for _, entry := range entries {
			values[entry.Name] = entry.Value
		}
		return err
	})
	return reply{"configs": values}, err
}

func alter(c command) (reply, error) {
	return administer(func(admin sarama.ClusterAdmin) error {
		return admin.AlterConfig(sarama.TopicResource, c.Topic, map[string]*string{c.Name: &c.Value}, false)
	})
}

func grow(c command) (reply, error) {
	return administer(func(admin sarama.ClusterAdmin) error {
		return admin.CreatePartitions(c.Topic, c.Partitions, nil, false)
	})
}

func deleteRecords(c command) (reply, error) {
	return administer(func(admin sarama.ClusterAdmin) error {
		return admin.DeleteRecords(c.Topic, map[int32]int64{c.Partition: c.Before})
	})
}

func listTopics(c command) (reply, error) {
	cfg := config()
	cfg.Metadata.Full = true
	client, err := sarama.NewClient(brokers, cfg)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	topics, err := client.Topics()
	return reply{"topics": topics}, err
}

var verbs = map[string]func(command) (reply, error){"produce": produce, "consume": consume, "group": group,
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
		r, err := verbs[c.Do](c)
		if err != nil {
			r = reply{"error": fmt.Sprint(err)}
		}
		if err := out.Encode(r); err != nil {
			return
		}
	}
}
