#include "processors/host/callee.h"

namespace millrace::processors {
namespace {

class local_callee final : public callee {
 public:
  explicit local_callee(const plugin& code) : code_(code) {}
  ~local_callee() override {
    if (is_created_) code_.table().destroy(instance_);
  }
  int32_t create(const millrace_host& host, millrace_scope* scope, const millrace_setup& setup) override {
    const int32_t status = code_.table().create(&host, scope, &setup, &instance_);
    is_created_ = status == MILLRACE_OK;
    return status;
  }
  int32_t process(const millrace_call& call, uint64_t) override {
    return code_.table().process(instance_, &call);
  }
  int32_t timer(const millrace_timer_call& call, uint64_t) override {
    return code_.table().timer(instance_, &call);
  }
  int32_t migrate(const millrace_migration& entry) override {
    return code_.table().migrate(instance_, &entry);
  }
  const callee_trouble& trouble() const override { return none_; }

 private:
  const plugin& code_;
  const callee_trouble none_;
  void* instance_ = nullptr;
  bool is_created_ = false;
};

}  // namespace

std::unique_ptr<callee> callee_here(const plugin& code) {
  return std::make_unique<local_callee>(code);
}

}  // namespace millrace::processors
