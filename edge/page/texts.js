// What the page says.
export const texts = { en: { stored: 'Stored.' } };
