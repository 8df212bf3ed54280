# Flags and helpers. One place, so that every room is built alike.
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Werror
                    -Wno-missing-field-initializers -fno-omit-frame-pointer)
# Asio and Beast are compiled once (src/base/asio_impl.cc), not in each file that includes them.
add_compile_definitions(BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED BOOST_BEAST_SEPARATE_COMPILATION
                        BOOST_ASIO_DISABLE_BOOST_COROUTINE)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    add_link_options(-fuse-ld=lld)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
    add_compile_options(-O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE)
    add_link_options(-pie -Wl,-z,relro,-z,now)
endif()
if(BATON_DEFECTS)
    add_compile_definitions(BATON_DEFECTS=1)
endif()
if(BATON_SANITIZE)
    add_compile_options(-fsanitize=${BATON_SANITIZE} -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${BATON_SANITIZE})
endif()

# Rooms that read what comes from outside tell the fuzz targets which branches they took. The unit tests of the same tree
# use the same objects: to compile every room a second time would cost more than the counters do. These are flags of
# code generation only (unlike -fsanitize=fuzzer-no-link, which says the same), so that the precompiled header is shared.
set(BATON_FUZZED_ROOMS base config topology analysis engine store agent http cli doctor)
set(BATON_FUZZ_FLAGS -fsanitize-coverage=inline-8bit-counters,indirect-calls,trace-cmp,pc-table
                     -fno-builtin-memcmp -fno-builtin-strcmp)

find_package(ZLIB REQUIRED)

# baton_room(NAME PUBLIC deps... PRIVATE deps...): the static library baton_NAME of every .cc under src/NAME.
function(baton_room NAME)
    file(GLOB_RECURSE SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${NAME}/*.cc)
    cmake_parse_arguments(ROOM "" "" "PUBLIC;PRIVATE" ${ARGN})
    if(NOT SOURCES)
        add_library(baton_${NAME} INTERFACE)
        target_include_directories(baton_${NAME} INTERFACE ${CMAKE_SOURCE_DIR}/src)
        target_link_libraries(baton_${NAME} INTERFACE ${ROOM_PUBLIC} ${ROOM_PRIVATE})
        return()
    endif()
    add_library(baton_${NAME} STATIC ${SOURCES})
    target_include_directories(baton_${NAME} PUBLIC ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(baton_${NAME} PUBLIC ${ROOM_PUBLIC} PRIVATE ${ROOM_PRIVATE})
    target_compile_definitions(baton_${NAME} PRIVATE BATON_VERSION="${PROJECT_VERSION}")
    if(BATON_FUZZ AND NAME IN_LIST BATON_FUZZED_ROOMS)
        target_compile_options(baton_${NAME} PRIVATE ${BATON_FUZZ_FLAGS})
    endif()
    if(NAME STREQUAL "base")
        target_precompile_headers(baton_base PRIVATE ${CMAKE_SOURCE_DIR}/src/base/pch.h)
    else()
        target_precompile_headers(baton_${NAME} REUSE_FROM baton_base)
    endif()
endfunction()

# baton_unit_tests(rooms...): one executable a room, of every .cc under tests/unit/ROOM.
function(baton_unit_tests)
    foreach(ROOM IN LISTS ARGN)
        file(GLOB_RECURSE SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/unit/${ROOM}/*.cc)
        if(SOURCES)
            add_executable(unit_${ROOM} ${SOURCES})
            target_include_directories(unit_${ROOM} PRIVATE ${CMAKE_SOURCE_DIR}/tests/unit)
            target_compile_definitions(unit_${ROOM} PRIVATE BATON_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                                       BATON_VERSION="${PROJECT_VERSION}")
            target_link_libraries(unit_${ROOM} PRIVATE baton_${ROOM} GTest::gmock GTest::gtest_main)
            target_precompile_headers(unit_${ROOM} REUSE_FROM baton_base)
            add_test(NAME unit_${ROOM} COMMAND unit_${ROOM})
        endif()
    endforeach()
endfunction()
