#include "print_state.h"
#include "samples.h"
#include "store_test.h"

namespace baton::store::test {
namespace {

class MemoryStore : public StoreTest {};

TEST_F(MemoryStore, TheDiskGetsWhatIsDurableAndAllBeforeIt) {
    const auto disk = std::make_shared<State>();
    const auto store = make_memory_store(*clock_, disk);
    store->apply(AddAudit{sample_audit(store->new_id())});
    EXPECT_EQ(store->state().audit.size(), 1u);
    EXPECT_TRUE(disk->audit.empty());
    ASSERT_TRUE(await(store->apply_durably(PutKeyValue{"k", "v"})));
    EXPECT_EQ(print(*disk), print(store->state()));
    store->apply(PutKeyValue{"k", "w"});
    EXPECT_EQ(store->queued(), 1u);
    ASSERT_TRUE(await(store->flush()));
    EXPECT_EQ(disk->key_values.at("k"), "w");
    EXPECT_TRUE(store->health());
}

TEST_F(MemoryStore, ACrashLosesWhatWasNotDurable) {
    const auto disk = std::make_shared<State>();
    {
        const auto store = make_memory_store(*clock_, disk);
        ASSERT_TRUE(await(store->apply_durably(PutKeyValue{"kept", "1"})));
        store->apply(PutKeyValue{"lost", "1"});
    }
    const auto after = make_memory_store(*clock_, disk);
    EXPECT_TRUE(after->state().key_values.contains("kept"));
    EXPECT_FALSE(after->state().key_values.contains("lost"));
}

TEST_F(MemoryStore, WhatWaitsIsBounded) {
    const auto store = make_memory_store(*clock_);
    for (int i = 0; i < 5000; ++i) {
        store->apply(PutKeyValue{"k", std::to_string(i)});
        ASSERT_LE(store->queued(), 1000u);
    }
}

}  // namespace
}  // namespace baton::store::test
