// SPDX-License-Identifier: BSD-2-Clause
// What an object's relocations may look for, out of all that a kernel has.
#include <bpf/btf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "capture/needed_types.h"

namespace tcpsaga::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

BtfPtr no_types()
{
    return BtfPtr(btf__new_empty());
}

/// Ids of what was added last are as many as there are.
int add_struct(btf& to, const char* name,
               std::initializer_list<std::pair<const char*, int>> members)
{
    const int id = btf__add_struct(&to, name, static_cast<__u32>(8 * members.size()));
    __u32 bit = 0;
    for (const auto& [member, type] : members) {
        EXPECT_EQ(btf__add_field(&to, member, type, bit, 0), 0);
        bit += 64;
    }
    return id;
}

std::vector<std::string> names_of(const btf& types)
{
    std::vector<std::string> names;
    for (__u32 id = 1; id < btf__type_cnt(&types); id++)
        if (const std::string name =
                btf__name_by_offset(&types, btf__type_by_id(&types, id)->name_off);
            !name.empty())
            names.push_back(name);
    return names;
}

const btf_type& named(const btf& types, const char* name)
{
    return *btf__type_by_id(&types, static_cast<__u32>(btf__find_by_name(&types, name)));
}

std::string name_of_member(const btf& types, const char* structure, int member)
{
    const __u32 id = btf_members(&named(types, structure))[member].type;
    return btf__name_by_offset(&types, btf__type_by_id(&types, id)->name_off);
}

/// struct sock { struct common c; struct task *owner; refcount ref[4]; }, and more around it.
class NeededTypes : public ::testing::Test {
protected:
    NeededTypes()
    {
        const int number = btf__add_int(types.get(), "int", 4, BTF_INT_SIGNED);
        const int other = add_struct(*types, "other", {{"n", number}});
        const int task = add_struct(*types, "task", {{"n", number}});
        const int common = add_struct(*types, "common", {{"n", number}});
        const int ref = btf__add_typedef(types.get(), "refcount", number);
        const int refs = btf__add_array(types.get(), number, btf__add_const(types.get(), ref), 4);
        const int owner = btf__add_ptr(types.get(), task);
        add_struct(*types, "sock", {{"c", common}, {"owner", owner}, {"ref", refs}});
        btf__add_func(types.get(), "sock", BTF_FUNC_GLOBAL,
                      btf__add_func_proto(types.get(), other));
        btf__add_enum(types.get(), "flags", 4);
        btf__add_enum_value(types.get(), "ONE", 1);
    }

    BtfPtr types = no_types();
    BtfPtr object = no_types();
};

TEST_F(NeededTypes, WhatIsNamedWithAllThatLiesWithin)
{
    add_struct(*object, "sock", {});
    const BtfPtr needed = needed_types(*types, *object);
    EXPECT_THAT(names_of(*needed), UnorderedElementsAre("sock", "common", "int", "refcount"));
    EXPECT_EQ(name_of_member(*needed, "sock", 0), "common");
    EXPECT_EQ(named(*needed, "sock").size, 24U);
}

TEST_F(NeededTypes, PointersLeadToVoid)
{
    add_struct(*object, "sock", {});
    const BtfPtr needed = needed_types(*types, *object);
    const __u32 id = btf_members(&named(*needed, "sock"))[1].type;
    const btf_type& owner = *btf__type_by_id(needed.get(), id);
    EXPECT_TRUE(btf_is_ptr(&owner));
    EXPECT_EQ(owner.type, 0U);
}

TEST_F(NeededTypes, AnArraysElementsKeepTheirType)
{
    add_struct(*object, "sock", {});
    const BtfPtr needed = needed_types(*types, *object);
    const __u32 id = btf_members(&named(*needed, "sock"))[2].type;
    EXPECT_EQ(btf__resolve_size(needed.get(), id), 16);
}

TEST_F(NeededTypes, AFlavorIsOfTheTypeWithoutIt)
{
    add_struct(*object, "task___old", {});
    EXPECT_THAT(names_of(*needed_types(*types, *object)), UnorderedElementsAre("task", "int"));
}

TEST_F(NeededTypes, EnumsKeepTheirValues)
{
    btf__add_enum(object.get(), "flags", 4);
    const BtfPtr needed = needed_types(*types, *object);
    ASSERT_THAT(names_of(*needed), ElementsAre("flags"));
    EXPECT_STREQ(btf__name_by_offset(needed.get(), btf_enum(&named(*needed, "flags"))->name_off),
                 "ONE");
}

TEST_F(NeededTypes, ThereIsAFileForLibbpf)
{
    add_struct(*object, "task", {});
    std::string path;
    {
        const TypesFile file(needed_types(*types, *object));
        path = file.path();
        const BtfPtr read(btf__parse(path.c_str(), nullptr));
        ASSERT_TRUE(read);
        EXPECT_THAT(names_of(*read), UnorderedElementsAre("task", "int"));
    }
    EXPECT_FALSE(std::ifstream(path));
    EXPECT_EQ(TypesFile().path(), nullptr);
}

} // namespace
} // namespace tcpsaga::testing
