/* The words of an option's choices, "wav|wav-f32|flac", by number and back. */
#ifndef MG_CHOICE_WORDS_H
#define MG_CHOICE_WORDS_H

enum { MG_CHOICE_WORD_SIZE = 32 };

/* "" if there is no such number. */
void mg_choice_word(char out[MG_CHOICE_WORD_SIZE], const char *choices, int i);

/* -1 if there is no such word; NULL is none. */
int mg_choice_find(const char *choices, const char *word);

#endif
