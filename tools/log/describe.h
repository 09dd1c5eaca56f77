// describe: batches, records and WAL entries as `log dump` prints them, as text or as JSON.
#pragma once

#include <string>

#include "protocol/record_batch.h"
#include "storage/wal/frame.h"
#include "tools/log/segment_scan.h"
#include "tools/text/json.h"

namespace millrace::tools {

// "offsets 0-9  10 records  ..."; no newline.
std::string batch_text(const protocol::batch_header& header, bool is_intact);
// Members for an object that the caller has begun.
void add_batch_members(json_writer& json, const protocol::batch_header& header, bool is_intact);

// A line per record, each begun with `indent`; or, where records are unreadable, why.
std::string records_text(const located_batch& batch, std::string_view indent);
// An array of records.
void add_records(json_writer& json, const located_batch& batch);

// The record at one offset, as a line without its end, or as a value of JSON. Nothing (false) if the batch
// does not hold it or cannot be read.
std::string record_text(const located_batch& batch, int64_t offset);
bool add_record(json_writer& json, const located_batch& batch, int64_t offset);

// An entry of a WAL frame other than a batch.
std::string wal_entry_text(const storage::wal::entry& entry);

}  // namespace millrace::tools
