/* SPDX-License-Identifier: MIT */
/* Names of compilers, as people write them. */
#include "core/profiler/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct pair {
	const char *mangled, *readable; /* NULL: it has none */
};

static void check(const struct pair *pairs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		NOVA_AUTOFREE char *readable = symbols_demangle(pairs[i].mangled);

		if (!readable || !pairs[i].readable) {
			if (readable != pairs[i].readable)
				print_error("%s: %s\n", pairs[i].mangled,
				            readable ? readable : "(nothing)");
			assert_true(!readable && !pairs[i].readable);
			continue;
		}
		assert_string_equal(readable, pairs[i].readable);
	}
}
#define CHECK(pairs) check(pairs, NOVA_COUNT(pairs))

static void cpp_and_the_older_names_of_rust(void **state)
{
	static const struct pair pairs[] = {
	        {"_ZN3foo3barEv", "foo::bar()"},
	        {"_ZN4core3ptr42drop_in_place$LT$alloc..string..String$GT$17h0123456789abcdefE",
	         "core::ptr::drop_in_place<alloc::string::String>"},
	        {"_ZN50_$LT$T$u20$as$u20$core..convert..Into$LT$U$GT$$GT$4into"
	         "17hd1a7f3c1e0b5a1c2E",
	         "<T as core::convert::Into<U>>::into"},
	        {"main", NULL},
	        {"_Z", NULL},
	        {"_", NULL},
	        {"", NULL}};

	(void)state;
	CHECK(pairs);
}

static void paths_of_rust(void **state)
{
	static const struct pair pairs[] = {
	        {"_RNvC6_123foo3bar", "123foo::bar"},
	        {"_RNvCs1234_7mycrate3foo", "mycrate::foo"},
	        {"_RNCNCNgCs6DXkGYLi8lr_2cc5spawn00B5_", "cc::spawn::{closure#0}::{closure#0}"},
	        {"_RNSC3foos_3bar", "foo::{shim:bar#1}"},
	        {"_RNXC3foo0", "foo::{X#0}"},
	        {"_RNvMCs4fqI2P2rA04_14const_genericsINtB2_3FooKs5_E3bar",
	         "<const_generics::Foo<5>>::bar"},
	        {"_RNCINkXs25_NgCsbmNqQUJIY6D_4core5sliceINyB9_4IterhENuNgNoBb_4iter8iterator8"
	         "Iterator9rpositionNCNgNpB9_6memchr7memrchrs_0E0Bb_",
	         "<core::slice::Iter<u8> as core::iter::iterator::Iterator>::rposition::<"
	         "core::slice::memchr::memrchr::{closure#1}>::{closure#0}"},
	        {"_RINbNbCskIICzLVDPPb_5alloc5alloc8box_freeDINbNiB4_5boxed5FnBoxuEp6OutputuEL_E"
	         "Cs1iopQbuBiw2_3std",
	         "alloc::alloc::box_free::<dyn alloc::boxed::FnBox<(), Output = ()>>"},
	        {"_RNvYNtC1a1SNtC1b1T1f", "<a::S as b::T>::f"},
	        {"_RNvC3foo3bar.llvm.1234", "foo::bar"},
	        {"_RNvC3foo3bar.cold.1", "foo::bar.cold.1"}};

	(void)state;
	CHECK(pairs);
}

static void types_of_rust(void **state)
{
	static const struct pair pairs[] = {
	        {"_RMC0a", "<i8>"},
	        {"_RMC0ShE", NULL},
	        {"_RMC0Sh", "<[u8]>"},
	        {"_RMC0Ahj20_", "<[u8; 32]>"},
	        {"_RMC0TE", "<()>"},
	        {"_RMC0TeE", "<(str,)>"},
	        {"_RMC0TebE", "<(str, bool)>"},
	        {"_RMC0RQPOz", "<&&mut *const *mut !>"},
	        {"_RMC0FEu", "<fn()>"},
	        {"_RMC0FUKCjEm", "<unsafe extern \"C\" fn(usize) -> u32>"},
	        {"_RMC0FK10C_cmse_nonEu", "<extern \"C-cmse-non\" fn()>"},
	        {"_RMC0FG_RL0_hEb", "<for<'a> fn(&'a u8) -> bool>"},
	        {"_RMC0FG0_RL1_hRL0_tEb", "<for<'a, 'b> fn(&'a u8, &'b u16) -> bool>"},
	        {"_RMC0FG_RL1_hEu", NULL}, /* no such lifetime is bound */
	        {"_RMC0DNtC1a1TNtC1b1SEL_", "<dyn a::T + b::S>"},
	        {"_RMC0DG_INtC1a1TRL0_hEEL_", "<dyn for<'a> a::T<&'a u8>>"},
	        {"_RMC0RDEL_", "<&dyn >"},
	        {"_RMC0WmRm1_m9_", "<u32 is 1..=9>"},
	        {"_RMC0WmOm1_E", NULL},
	        {"_RMC0WmORm1_m2_Rm5_m9_E", "<u32 is 1..=2 | 5..=9>"}};

	(void)state;
	CHECK(pairs);
}

static void constants_of_rust(void **state)
{
	static const struct pair pairs[] = {
	        {"_RINtC8arrayvec8ArrayVechKj7b_E", "arrayvec::ArrayVec::<u8, 123>"},
	        {"_RIC1aKin3_E", "a::<-3>"},
	        {"_RIC1aKjn3_E", NULL},
	        {"_RIC1aKpE", "a::<_>"},
	        {"_RIC1aKb1_E", "a::<true>"},
	        {"_RIC1aKb2_E", NULL},
	        {"_RIC1aKo0123456789abcdef01234_E", "a::<0x123456789abcdef01234>"},
	        {"_RIC1aKyffffffffffffffff_E", "a::<18446744073709551615>"},
	        {"_RIC1aKc76_E", "a::<'v'>"},
	        {"_RIC1aKca_E", "a::<'\\n'>"},
	        {"_RIC1aKc27_E", "a::<'\\''>"},
	        {"_RIC1aKc0_E", "a::<'\\0'>"},
	        {"_RIC1aKc9b_E", "a::<'\\u{9b}'>"},
	        {"_RIC1aKc2202_E", "a::<'∂'>"},
	        {"_RIC1aKc1f980_E", "a::<'🦀'>"},
	        {"_RIC1aKcd800_E", NULL},
	        {"_RIC1aKc110000_E", NULL},
	        {"_RIC1aKRe616263_E", "a::<\"abc\">"},
	        {"_RIC1aKRe22275c0a_E", "a::<\"\\\"'\\\\\\n\">"},
	        {"_RIC1aKRe2_E", NULL},
	        {"_RIC1aKRec3_E", NULL},
	        {"_RIC1aKRee2888273_E", "a::<\"∂s\">"},
	        {"_RIC1aKe616263_E", "a::<{*\"abc\"}>"},
	        {"_RIC1aKRAj1_j2_EE", "a::<{&[1, 2]}>"},
	        {"_RIC1aKTj1_EE", "a::<{(1,)}>"},
	        {"_RIC1aKVNtC1b4NoneUE", "a::<{b::None}>"},
	        {"_RIC1aKVNtC1b4SomeTm7_EE", "a::<{b::Some(7)}>"},
	        {"_RIC1aKVNtC1b1SS1xm7_s_1yb0_EE", "a::<{b::S { x: 7, y: false }}>"}};

	(void)state;
	CHECK(pairs);
}

static void identifiers_of_all_peoples(void **state)
{
	static const struct pair pairs[] = {
	        {"_RNqCs4fqI2P2rA04_11utf8_identsu30____7hkackfecea1cbdathfdh9hlq6y",
	         "utf8_idents::საჭმელად_გემრიელი_სადილი"},
	        {"_RNvC1au9gdel_5qa", NULL},
	        {"_RNvC1au8gdel_5qa", "a::gödel"},
	        {"_RNvC1au3abA", NULL},
	        {"_RNvC1au2a_", NULL},
	        {"_RNvC1au9999999999_", NULL}};

	(void)state;
	CHECK(pairs);
}

static void what_is_no_name_of_rust_stays_as_it_is(void **state)
{
	static const struct pair pairs[] = {{"_R", NULL},
	                                    {"_RC", NULL},
	                                    {"_RNvC3foo", NULL},
	                                    {"_RNvC3foo3barx", NULL},
	                                    {"_R1NvC3foo3bar", NULL}, /* a version to come */
	                                    {"_RNG_init", NULL},
	                                    {"_Restore", NULL},
	                                    {"_RNvC3foo18446744073709551619bar", NULL},
	                                    {"_RNvB_3bar", NULL},
	                                    {"_RNvBzzzzzzzzzzzzzzzz_3bar", NULL}};

	(void)state;
	CHECK(pairs);
	/* each piece of a good one, too */
	for (size_t i = 0; i < strlen(pairs[9].mangled); i++) {
		NOVA_AUTOFREE char *piece = strndup(pairs[9].mangled, i);

		free(symbols_demangle(piece));
	}
}

/* As rustc 1.95 made them of a small program. */
static void what_a_compiler_made(void **state)
{
	static const struct pair pairs[] = {
	        {"_RINvCsjMaewn57Afh_1t2fpFG0_URL1_hQL0_SxEuEB2_",
	         "t::fp::<for<'a, 'b> unsafe fn(&'a u8, &'b mut [i64])>"},
	        {"_RINvCsjMaewn57Afh_1t2fpFKCFKClvEzEjEB2_",
	         "t::fp::<extern \"C\" fn(extern \"C\" fn(i32, ...) -> !) -> usize>"},
	        {"_RINvCsjMaewn57Afh_1t3genlNCNCNvB2_4main0s_0EB2_",
	         "t::gen::<i32, t::main::{closure#0}::{closure#1}>"},
	        {"_RINvNtCsjMaewn57Afh_1tu9gre_6ka8iu9strae_oqalEB4_", "t::größe::straße::<i32>"},
	        {"_RINvYINtNtNtCsgEmfK2I1SDS_4core5slice4iter4IterINtNtCslNYArtu3iFV_5alloc5boxed3"
	         "BoxDNtCsjMaewn57Afh_1t5ShapeNtNtBa_6marker4SendEL_EENtNtNtNtBa_4iter6traits8"
	         "iterator8Iterator3mapdNCNvB1l_4dynb0EB1l_",
	         "<core::slice::iter::Iter<alloc::boxed::Box<dyn t::Shape + core::marker::Send>> "
	         "as core::iter::traits::iterator::Iterator>::map::<f64, t::dynb::{closure#0}>"}};

	(void)state;
	CHECK(pairs);
}

static char base62(size_t digit)
{
	return "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[digit];
}

/* A tuple of two such tuples, and so on: 2^40 elements of a hundred bytes. */
static void texts_without_end_are_given_up(void **state)
{
	struct nova_text rust = {0}, deep = {0}, cpp = {0};
	char *readable;

	(void)state;
	nova_text_add(&rust, "_RMC0");
	for (size_t i = 0; i < 40; i++)
		nova_text_add(&rust, "T");
	nova_text_add(&rust, "u");
	for (size_t i = 40; i-- > 0;) /* the inner one begins at 3 + i + 1 */
		nova_text_addf(&rust, "B%c_E", base62(3 + i));
	assert_null(symbols_demangle(rust.data));
	nova_text_add(&deep, "_RMC0");
	for (size_t i = 0; i < 4000; i++)
		nova_text_add(&deep, "S");
	nova_text_add(&deep, "h");
	assert_null(symbols_demangle(deep.data));
	/* a<X, X> of a<X, X> of … */
	nova_text_add(&cpp, "_Z1fI");
	nova_text_add(&cpp, "1aIiiE");
	for (size_t i = 0; i < 30; i++)
		nova_text_addf(&cpp, "S_IS%c_S%c_E", base62(i), base62(i));
	nova_text_add(&cpp, "Evv");
	readable = symbols_demangle(cpp.data);
	assert_true(!readable || strlen(readable) <= 65536);
	free(readable);
	nova_text_free(&rust);
	nova_text_free(&deep);
	nova_text_free(&cpp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(cpp_and_the_older_names_of_rust),
	        cmocka_unit_test(paths_of_rust),
	        cmocka_unit_test(types_of_rust),
	        cmocka_unit_test(constants_of_rust),
	        cmocka_unit_test(identifiers_of_all_peoples),
	        cmocka_unit_test(what_a_compiler_made),
	        cmocka_unit_test(what_is_no_name_of_rust_stays_as_it_is),
	        cmocka_unit_test(texts_without_end_are_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
