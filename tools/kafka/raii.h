// raii: owners for librdkafka's C objects.
#pragma once

#include <librdkafka/rdkafka.h>
#include <memory>

namespace millrace::tools {

template <auto destroy>
struct destroy_with {
  template <class T>
  void operator()(T* object) const {
    destroy(object);
  }
};

using queue_ptr = std::unique_ptr<rd_kafka_queue_t, destroy_with<rd_kafka_queue_destroy>>;
using event_ptr = std::unique_ptr<rd_kafka_event_t, destroy_with<rd_kafka_event_destroy>>;
using topic_ptr = std::unique_ptr<rd_kafka_topic_t, destroy_with<rd_kafka_topic_destroy>>;
using headers_ptr = std::unique_ptr<rd_kafka_headers_t, destroy_with<rd_kafka_headers_destroy>>;
using message_ptr = std::unique_ptr<rd_kafka_message_t, destroy_with<rd_kafka_message_destroy>>;
using metadata_ptr = std::unique_ptr<const rd_kafka_metadata_t, destroy_with<rd_kafka_metadata_destroy>>;
using partition_list_ptr =
    std::unique_ptr<rd_kafka_topic_partition_list_t, destroy_with<rd_kafka_topic_partition_list_destroy>>;
using admin_options_ptr =
    std::unique_ptr<rd_kafka_AdminOptions_t, destroy_with<rd_kafka_AdminOptions_destroy>>;
using new_topic_ptr = std::unique_ptr<rd_kafka_NewTopic_t, destroy_with<rd_kafka_NewTopic_destroy>>;
using delete_topic_ptr = std::unique_ptr<rd_kafka_DeleteTopic_t, destroy_with<rd_kafka_DeleteTopic_destroy>>;
using new_partitions_ptr =
    std::unique_ptr<rd_kafka_NewPartitions_t, destroy_with<rd_kafka_NewPartitions_destroy>>;
using delete_records_ptr =
    std::unique_ptr<rd_kafka_DeleteRecords_t, destroy_with<rd_kafka_DeleteRecords_destroy>>;
using delete_group_ptr = std::unique_ptr<rd_kafka_DeleteGroup_t, destroy_with<rd_kafka_DeleteGroup_destroy>>;
using list_offsets_ptr = std::unique_ptr<rd_kafka_ListConsumerGroupOffsets_t,
                                         destroy_with<rd_kafka_ListConsumerGroupOffsets_destroy>>;
using alter_offsets_ptr = std::unique_ptr<rd_kafka_AlterConsumerGroupOffsets_t,
                                          destroy_with<rd_kafka_AlterConsumerGroupOffsets_destroy>>;
using delete_offsets_ptr = std::unique_ptr<rd_kafka_DeleteConsumerGroupOffsets_t,
                                           destroy_with<rd_kafka_DeleteConsumerGroupOffsets_destroy>>;
using config_resource_ptr =
    std::unique_ptr<rd_kafka_ConfigResource_t, destroy_with<rd_kafka_ConfigResource_destroy>>;

}  // namespace millrace::tools
